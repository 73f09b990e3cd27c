"""Serve the fleet page: one document, its files, and its data as JSON, without inline code or external files.

Data of a view is computed at most once in two seconds, independent of the number of viewers, and in a thread.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from aiohttp import web

from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.monitor_runner import MonitorRunner
from purpleflea_sandbox.datadog.web import dashboard_data, traces_and_logs
from purpleflea_sandbox.datadog.web import view as views
from purpleflea_sandbox.datadog.web.definitions import Definitions
from purpleflea_sandbox.datadog.web.view import View

PATH = "/fleet"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_MIN_CACHE_S = 2.0
_PAUSE_FACTOR = 3
"""Pause factor after a computation, so that the page computes for at most a quarter of the time."""
_MAX_CACHED = 32
_STATIC = Path(str(resources.files("purpleflea_sandbox.datadog.web"))) / "static"

CacheKey = tuple[Any, ...]


def add_routes(
    app: web.Application,
    store: Store,
    definitions: Definitions,
    monitor_runner: MonitorRunner,
    clock: Callable[[], float],
) -> None:
    """Mount the page. The root path redirects to it."""
    page = _Page(store, definitions, monitor_runner, clock)
    app.router.add_get("/", _redirect)
    app.router.add_get(PATH, page.document)
    app.router.add_get(f"{PATH}/data/board", page.board)
    app.router.add_get(f"{PATH}/data/monitors", page.monitors)
    app.router.add_get(f"{PATH}/data/records", page.records)
    app.router.add_get(f"{PATH}/data/traces/{{trace_id}}", page.trace)
    app.router.add_static(f"{PATH}/static", _STATIC)
    app.on_response_prepare.append(_add_security_headers)


async def _redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound(PATH)


async def _add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(PATH):
        response.headers.update(_HEADERS)
        response.headers.setdefault("Cache-Control", "no-cache")


class _Page:
    """Handlers of the routes."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        monitor_runner: MonitorRunner,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._monitor_runner = monitor_runner
        self._clock = clock
        self._cache: OrderedDict[CacheKey, tuple[float, Any]] = OrderedDict()
        self._compute_lock = asyncio.Lock()

    async def document(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / "index.html")

    async def board(self, request: web.Request) -> web.Response:
        view = _view(request)
        wanted = request.query.get("dashboard", "")
        key = ("board", wanted, view.window_s, *sorted(view.variables.items()))
        return _json(await self._cached(key, lambda: self._board(wanted, view)))

    async def monitors(self, request: web.Request) -> web.Response:
        return _json(await self._cached(("monitors",), self._monitors))

    async def records(self, request: web.Request) -> web.Response:
        view = _view(request)
        dashboard = dashboard_data.select_dashboard(
            self._definitions, request.query.get("dashboard", "")
        )
        values = (
            {
                variable["name"]: variable["value"]
                for variable in dashboard_data.variables(dashboard, self._store, view)
            }
            if dashboard
            else view.variables
        )
        now = self._clock()
        return _json(
            {
                "traces": traces_and_logs.recent_traces(self._store, values, now, view.window_s),
                "logs": traces_and_logs.recent_logs(self._store, values, now, view.window_s),
            }
        )

    async def trace(self, request: web.Request) -> web.Response:
        trace = traces_and_logs.whole_trace(self._store, request.match_info["trace_id"].lower())
        if trace is None:
            raise web.HTTPNotFound(
                text="trace not found: it was not received, or is no longer stored\n"
            )
        return _json(trace)

    async def _board(self, wanted: str, view: View) -> Mapping[str, Any]:
        now = self._clock()
        dashboard = dashboard_data.select_dashboard(self._definitions, wanted)
        if dashboard is None:
            return {"now": int(now * 1000), "empty": True}
        context = dashboard_data.widget_context(
            dashboard, self._store, view, self._definitions, now
        )
        shown = []
        for position, item in enumerate(dashboard["widgets"]):
            shown.append(await asyncio.to_thread(dashboard_data.widget, position, item, context))
        frame = dashboard_data.dashboard_frame(dashboard, self._store, view, self._definitions)
        return {"now": int(now * 1000), **frame, "widgets": shown}

    async def _monitors(self) -> Mapping[str, Any]:
        now = self._clock()
        slos = await asyncio.to_thread(dashboard_data.slos, self._definitions, self._store, now)
        return {
            "now": int(now * 1000),
            "monitors": dashboard_data.monitors(self._definitions, self._monitor_runner.states),
            "objectives": slos,
            "notifications": dashboard_data.recent_notifications(
                self._monitor_runner.notifications
            ),
        }

    async def _cached(self, key: CacheKey, compute: Callable[[], Awaitable[Any]]) -> Any:
        """Return the cached value if it is fresh, otherwise compute it, one at a time. Expensive values are cached
        longer.
        """
        async with self._compute_lock:
            loop = asyncio.get_running_loop()
            fresh_until, value = self._cache.get(key, (0.0, None))
            if loop.time() >= fresh_until:
                started = loop.time()
                value = await compute()
                duration = loop.time() - started
                self._cache[key] = (
                    loop.time() + max(_MIN_CACHE_S, _PAUSE_FACTOR * duration),
                    value,
                )
                while len(self._cache) > _MAX_CACHED:
                    self._cache.popitem(last=False)
            return value


def _view(request: web.Request) -> View:
    try:
        return views.from_query(request.query)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


def _json(document: Any) -> web.Response:
    response = web.json_response(document)
    response.enable_compression()
    return response

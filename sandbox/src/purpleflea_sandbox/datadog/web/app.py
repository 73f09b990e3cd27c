"""Serve the fleet page: one document, its files, and its data as JSON, without inline code or external files.

Data of one view is computed at most once in two seconds, independent of the number of viewers, and in a thread.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from aiohttp import web

from purpleflea_sandbox.datadog.evaluation.runner import Monitoring
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.web import board, records
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
_FRESH_S = 2.0
_REST = 3
"""Pause factor after a computation, so that the page computes for at most a quarter of the time."""
_MOST_KEPT = 32
_STATIC = Path(str(resources.files(__package__))) / "static"

Key = tuple[Any, ...]


def add_routes(
    app: web.Application,
    store: Store,
    definitions: Definitions,
    monitoring: Monitoring,
    clock: Callable[[], float],
) -> None:
    """Mount the page. The root path redirects to it."""
    page = _Page(store, definitions, monitoring, clock)
    app.router.add_get("/", _to_page)
    app.router.add_get(PATH, page.document)
    app.router.add_get(f"{PATH}/data/board", page.board)
    app.router.add_get(f"{PATH}/data/monitors", page.monitors)
    app.router.add_get(f"{PATH}/data/records", page.records)
    app.router.add_get(f"{PATH}/data/traces/{{trace_id}}", page.trace)
    app.router.add_static(f"{PATH}/static", _STATIC)
    app.on_response_prepare.append(_secured)


async def _to_page(request: web.Request) -> web.Response:
    raise web.HTTPFound(PATH)


async def _secured(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(PATH):
        response.headers.update(_HEADERS)
        response.headers.setdefault("Cache-Control", "no-cache")


class _Page:
    """Handlers of the routes."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        monitoring: Monitoring,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._monitoring = monitoring
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, Any]] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def document(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / "index.html")

    async def board(self, request: web.Request) -> web.Response:
        view = _view(request)
        wanted = request.query.get("dashboard", "")
        key = ("board", wanted, view.window_s, *sorted(view.variables.items()))
        return _json(await self._fresh(key, lambda: self._board(wanted, view)))

    async def monitors(self, request: web.Request) -> web.Response:
        return _json(await self._fresh(("monitors",), self._monitors))

    async def records(self, request: web.Request) -> web.Response:
        view = _view(request)
        dashboard = board.chosen(self._definitions, request.query.get("dashboard", ""))
        values = (
            {one["name"]: one["value"] for one in board.variables(dashboard, self._store, view)}
            if dashboard
            else view.variables
        )
        now = self._clock()
        return _json(
            {
                "traces": records.recent_traces(self._store, values, now, view.window_s),
                "logs": records.recent_logs(self._store, values, now, view.window_s),
            }
        )

    async def trace(self, request: web.Request) -> web.Response:
        found = records.whole_trace(self._store, request.match_info["trace_id"].lower())
        if found is None:
            raise web.HTTPNotFound(text="no such trace, or no longer\n")
        return _json(found)

    async def _board(self, wanted: str, view: View) -> Mapping[str, Any]:
        now = self._clock()
        dashboard = board.chosen(self._definitions, wanted)
        if dashboard is None:
            return {"now": int(now * 1000), "empty": True}
        scene = board.scene(dashboard, self._store, view, self._definitions, now)
        shown = []
        for position, placed in enumerate(dashboard["widgets"]):
            shown.append(await asyncio.to_thread(board.widget, position, placed, scene))
        frame = board.frame(dashboard, self._store, view, self._definitions)
        return {"now": int(now * 1000), **frame, "widgets": shown}

    async def _monitors(self) -> Mapping[str, Any]:
        now = self._clock()
        slos = await asyncio.to_thread(board.slos, self._definitions, self._store, now)
        return {
            "now": int(now * 1000),
            "monitors": board.monitors(self._definitions, self._monitoring.states),
            "objectives": slos,
            "told": board.told(self._monitoring.notifications),
        }

    async def _fresh(self, key: Key, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return the cached value if it is fresh, otherwise compute it, one at a time. Expensive values are cached
        longer.
        """
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            stale, value = self._kept.get(key, (0.0, None))
            if loop.time() >= stale:
                began = loop.time()
                value = await make()
                took = loop.time() - began
                self._kept[key] = (loop.time() + max(_FRESH_S, _REST * took), value)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
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

"""HTTP server for /livez, /readyz and /metrics, and the checks behind /livez.

/livez fails if a restart may help: a watch is stalled, or the work queue is stuck. /readyz fails if the replica can
neither lead nor stand by. The text of a failed probe names the cause. The module reads the state of other components
and must not change it.
"""

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from purpleflea_contract import rendering
from purpleflea_operator import timings
from purpleflea_operator.runtime import listener
from purpleflea_operator.runtime.bounded_server import BoundedServer
from purpleflea_operator.runtime.local_route import Handler

LIVE, READY, METRICS = "/livez", "/readyz", "/metrics"
METRICS_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}

Check = Callable[[], str]
"""Returns the failure as text, or an empty string if the check passes."""


class Health:
    """Checks of the probes. /livez fails if any of its checks fails, /readyz if `ready` does.

    `refusals` returns the error of each path that the API server refuses. /livez names them and does not fail, because
    a restart does not help. `posts` are further routes, by path.
    """

    def __init__(
        self,
        ready: Check,
        metrics: Callable[[], bytes] = bytes,
        refusals: Callable[[], Mapping[str, str]] = dict,
        posts: Mapping[str, Handler] | None = None,
    ) -> None:
        self._ready = ready
        self._metrics = metrics
        self._refusals = refusals
        self._posts = posts or {}
        self._live: list[Check] = []

    def add(self, *checks: Check) -> None:
        """Add checks to /livez."""
        self._live += checks

    def app(self) -> web.Application:
        """Return the HTTP application."""
        app = web.Application(client_max_size=rendering.MAX_BYTES)
        app.router.add_get(LIVE, self._on_live)
        app.router.add_get(READY, self._on_ready)
        app.router.add_get(METRICS, self._on_metrics)
        for path, handler in self._posts.items():
            app.router.add_post(path, handler)
        return app

    async def _on_live(self, _: web.Request) -> web.Response:
        failures = [text for text in (check() for check in self._live) if text]
        texts = [*(failures or ["ok"]), refused_paths(self._refusals())]
        status = 500 if failures else 200
        return web.Response(status=status, text="; ".join(text for text in texts if text))

    async def _on_ready(self, _: web.Request) -> web.Response:
        failure = self._ready()
        return web.Response(status=503 if failure else 200, text=failure or "ok")

    async def _on_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers=METRICS_TYPE)


async def serve(health: Health, port: int) -> BoundedServer:
    """Start the server. The caller cleans it up."""
    server = BoundedServer(health.app(), listener.every_address(port))
    await server.start()
    return server


def stalled_watches(idle_s: Mapping[str, float], *, limit_s: float) -> str:
    """Return the watches that received neither an event nor a bookmark for longer than the limit."""
    stalled = sorted((path, seconds) for path, seconds in idle_s.items() if seconds > limit_s)
    listed = ", ".join(f"{_resource(path)} for {seconds:.0f} s" for path, seconds in stalled)
    return f"stalled watch: no event or bookmark of {listed}" if stalled else ""


def refused_paths(refusals: Mapping[str, str]) -> str:
    """Return the watches that the API server refuses, with its error, by path; empty if there are none."""
    listed = ", ".join(f"{_resource(path)} ({error})" for path, error in sorted(refusals.items()))
    return f"the API server refuses to serve {listed}" if listed else ""


def _resource(path: str) -> str:
    """Return the resource of a watch, with the namespace if the watch is bound to a namespace."""
    parts = path.split("/")
    return parts[-1] if "namespaces" not in parts[:-1] else f"{parts[-1]} in {parts[-2]}"


def refused_watch(resource: str, refused_s: Sequence[float], *, limit_s: float) -> str:
    """Return the failure if the API server has refused all watches of a resource for longer than the limit."""
    seconds = min(refused_s, default=0.0)
    if seconds <= limit_s:
        return ""
    return f"refused watch: the API server has refused to serve {resource} for {seconds:.0f} s"


def stuck_queue(*, waiting_s: float, idle_s: float, longest_s: float, name: str = "queue") -> str:
    """Return the reason if the workers hang.

    A long wait alone only means that there is much work. The queue is stuck if, in addition, no reconcile ends.
    """
    if longest_s > timings.STUCK_QUEUE_S:
        return f"stuck {name}: a reconcile has been running for {longest_s:.0f} s"
    if min(waiting_s, idle_s) > timings.STUCK_QUEUE_S:
        return (
            f"stuck {name}: a key has waited for {waiting_s:.0f} s, "
            f"and no reconcile has ended for {idle_s:.0f} s"
        )
    return ""

"""/livez, /readyz and /metrics on a small HTTP server.

Live: restarting would not help, as far as we know. Ready: it does its part, leading or standing by. Each says in words
what is wrong. It only asks; what is asked belongs to others.

The signs by which the operator tells that it is dead though it runs: deaf watches, a queue that does not move.

Pure functions of numbers that others measured; each returns words, empty where all is well.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from purpleflea_operator import timings

LIVE, READY, METRICS = "/livez", "/readyz", "/metrics"
METRICS_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}

Ask = Callable[[], str]
"""What is wrong; empty where all is well."""


class Health:
    """What the probes ask for. Every check added counts."""

    def __init__(self, metrics: Callable[[], bytes] = bytes) -> None:
        self._metrics = metrics
        self._live: list[Ask] = []
        self.ready: Ask = lambda: "starting"

    def add(self, *checks: Ask) -> None:
        """Ask this, too, whether the process lives."""
        self._live += checks

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application()
        app.router.add_get(LIVE, self._on_live)
        app.router.add_get(READY, self._on_ready)
        app.router.add_get(METRICS, self._on_metrics)
        return app

    async def _on_live(self, _: web.Request) -> web.Response:
        wrong = [words for words in (check() for check in self._live) if words]
        return web.Response(status=500 if wrong else 200, text="; ".join(wrong) or "ok")

    async def _on_ready(self, _: web.Request) -> web.Response:
        wrong = self.ready()
        return web.Response(status=503 if wrong else 200, text=wrong or "ok")

    async def _on_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers=METRICS_TYPE)


async def serve(health: Health, port: int) -> web.AppRunner:
    """Start the server; the caller cleans the runner up."""
    runner = web.AppRunner(health.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet asks from outside
    return runner


def stalled_watches(silent_s: Mapping[str, float], *, limit_s: float) -> str:
    """Which watches have heard nothing, not even a bookmark, for longer than the limit."""
    deaf = sorted((path, seconds) for path, seconds in silent_s.items() if seconds > limit_s)
    words = ", ".join(f"{_resource(path)} for {seconds:.0f} s" for path, seconds in deaf)
    return f"deaf watch: nothing heard of {words}" if deaf else ""


def _resource(path: str) -> str:
    """The resource a watch is about, with its namespace where it is one of several."""
    parts = path.split("/")
    return parts[-1] if "namespaces" not in parts[:-1] else f"{parts[-1]} in {parts[-2]}"


def stuck(*, waiting_s: float, still_s: float, longest_s: float) -> str:
    """Whether the workers hang: a long line alone is only much work, so it must not move either."""
    if longest_s > timings.STUCK_QUEUE_S:
        return f"stuck queue: a pass has run for {longest_s:.0f} s"
    if min(waiting_s, still_s) > timings.STUCK_QUEUE_S:
        return f"stuck queue: a key waits for {waiting_s:.0f} s, no pass ended for {still_s:.0f} s"
    return ""

"""/livez, /readyz and /metrics on a small HTTP server.

Live: restarting would not help, as far as we know. Ready: it does its part, leading or standing by. Each says in words
what is wrong. It only asks; what is asked belongs to others.
"""

from collections.abc import Callable

from aiohttp import web

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

"""/livez and /readyz on a small HTTP server.

Live: the event loop answers. Ready: the cache was filled once.
"""

from aiohttp import web

LIVE, READY = "/livez", "/readyz"


class Health:
    """What the probes ask for."""

    def __init__(self) -> None:
        self.primed = False

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application()
        app.router.add_get(LIVE, self._live)
        app.router.add_get(READY, self._ready)
        return app

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _ready(self, _: web.Request) -> web.Response:
        if not self.primed:
            return web.Response(status=503, text="the first lists are not read yet")
        return web.Response(text="ok")


async def serve(health: Health, port: int) -> web.AppRunner:
    """Start the server; the caller cleans the runner up."""
    runner = web.AppRunner(health.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet asks from outside
    return runner

"""HTTP server on loopback with a separate thread and event loop.

A separate loop is needed, because the shutdown of kopf cancels all tasks of its loop.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
OnLoop = Callable[[asyncio.AbstractEventLoop | None], None]


async def serve(handler: Handler) -> web.ServerRunner:
    """Serve on a free port in the running loop."""
    server = web.Server(handler, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def url_of(runner: web.ServerRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


class Loopback:
    """Server that starts and stops once. `on_loop` receives the loop at the start and None at the end."""

    def __init__(self, handler: Handler, on_loop: OnLoop) -> None:
        self.url = ""
        self._handler = handler
        self._on_loop = on_loop
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-apiserver", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(10) or not self.url:
            raise RuntimeError("the fake API server did not start")

    def stop(self) -> None:
        if self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._loop = None
        self._thread.join(15)
        if self._thread.is_alive():
            raise TimeoutError("the fake API server did not stop within 15 s")

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        finally:
            self._started.set()

    async def _serve(self) -> None:
        runner = await serve(self._handler)
        self.url = url_of(runner)
        self._loop = asyncio.get_running_loop()
        self._on_loop(self._loop)
        self._started.set()
        await self._stopping.wait()
        await next(iter(runner.sites)).stop()
        self._on_loop(None)
        await runner.cleanup()

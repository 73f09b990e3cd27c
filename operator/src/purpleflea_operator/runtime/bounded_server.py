"""A TCP server for one aiohttp application, with a bound on connections and on the time that each one stays open.

aiohttp has neither. Any pod that reaches the port could otherwise hold thousands of connections, or send its request
one byte at a time, until no probe of the kubelet gets a file descriptor. If the bound is reached, the oldest connection
ends, because a probe is a new one and lasts for milliseconds.
"""

import asyncio
import contextlib
import socket

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from purpleflea_operator import timings

CONNECTIONS = 64
"""Open connections. The kubelet, Prometheus and the node agent use one each."""


class BoundedServer:
    """Serves an application on a socket until closed."""

    def __init__(self, app: web.Application, listener: socket.socket) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=timings.HTTP_IDLE_S,
            lingering_time=0.0,
            max_line_size=4_096,
            max_field_size=4_096,
        )
        self._listener = listener
        self._open: dict[RequestHandler, asyncio.TimerHandle] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=self._listener)

    async def cleanup(self) -> None:
        """Close the socket and all connections."""
        if self._server is not None:
            self._server.close()
        for timer in self._open.values():
            timer.cancel()
        await self._runner.cleanup()
        with contextlib.suppress(OSError):
            self._listener.close()

    def _connection(self) -> RequestHandler:
        server = self._runner.server
        assert server is not None  # noqa: S101 - set by `setup`
        self._forget_closed(server)
        while len(self._open) >= CONNECTIONS:
            self._end(next(iter(self._open)))
        handler = server()
        loop = asyncio.get_running_loop()
        self._open[handler] = loop.call_later(timings.HTTP_CONNECTION_S, self._end, handler)
        return handler

    def _forget_closed(self, server: web.Server) -> None:
        # A new connection is registered a moment after its handler is created.
        settled = asyncio.get_running_loop().time() + timings.HTTP_CONNECTION_S - 1.0
        known = set(server.connections)
        for handler, timer in list(self._open.items()):
            if handler not in known and timer.when() < settled:
                self._open.pop(handler).cancel()

    def _end(self, handler: RequestHandler) -> None:
        self._open.pop(handler).cancel()
        if isinstance(handler.transport, asyncio.Transport):
            # A close would wait until a slow client has read the response.
            handler.transport.abort()
        handler.force_close()

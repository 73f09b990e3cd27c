"""A TCP server that answers each connection with the bytes of one generator: answers that no HTTP server would send."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Self

Answer = Callable[[], AsyncIterator[bytes]]


class RawServer:
    """A server in the event loop of the test. Use it as an async context manager."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        """The bytes of the next answers. Its end closes the connection."""
        self.requests = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def endpoints(self) -> dict[str, str]:
        """This server as all services of the exchange."""
        return dict.fromkeys(("trading", "wallet", "escrow", "faucet"), self.url)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                async for part in self.answer():
                    writer.write(part)
                    await writer.drain()
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

"""The network between agents and the paper exchange, in the process: from the HTTP client to an ASGI application.

It observes each request when it leaves an agent, adds faults that no server can inject, and ends agents in between.
The server continues after its client is gone, as over real connections.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message, Scope

from purpleflea_sandbox.exchange.api.fault_injection import TRANSPORT

RESET: Message = {"type": "reset"}
ENDED: Message = {"type": "ended"}
LATE = "delivered minutes later"
LATE_S = (10.0, 280.0)
"""Range of the time until a request arrives that the network delivers late."""


class Connection:
    """One request at the server, and the messages of its answer."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.is_done = False

    async def serve(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        """Process the request."""
        received = False

        async def receive() -> Message:
            nonlocal received
            if not received:
                received = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.messages.put_nowait(message)

        try:
            await app(scope, receive, send)
        finally:
            self.is_done = True
            self.messages.put_nowait(ENDED)

    # The part of a transport that the exchange uses to reset a connection.
    def is_closing(self) -> bool:
        return self.gone.is_set()

    def get_extra_info(self, _: str) -> "Connection":
        return self

    def setsockopt(self, *_: object) -> None:
        """Accept any option."""

    def abort(self) -> None:
        self.messages.put_nowait(RESET)
        self.gone.set()

    async def next(self, timeout_s: float | None) -> Message:
        """Return the next message for the client."""
        try:
            async with asyncio.timeout(timeout_s):
                message = await self.messages.get()
        except TimeoutError:
            self.gone.set()
            raise httpx2.ReadTimeout("no data in time") from None
        if message in (RESET, ENDED):
            self.gone.set()
            raise httpx2.ReadError("connection reset")
        return message


class Body(httpx2.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, connection: Connection, timeout_s: float | None) -> None:
        self._connection = connection
        self._timeout_s = timeout_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._connection.next(self._timeout_s)
            more = bool(message.get("more_body"))
            if message.get("body"):
                yield message["body"]

    async def aclose(self) -> None:
        self._connection.gone.set()


def scope_of(request: Any, connection: Connection) -> Scope:
    """Return the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {TRANSPORT: connection},
    }


def server_task(work: Any, name: str) -> "asyncio.Task[None]":
    """Start work of the server. It does not belong to the agent that sent the request."""
    return asyncio.get_running_loop().create_task(work, name=name, context=contextvars.Context())


async def answer(connection: Connection, timeout_s: float | None) -> Any:
    """Wait for the beginning of the answer."""
    start = await connection.next(timeout_s)
    return httpx2.Response(
        start["status"], headers=start["headers"], stream=Body(connection, timeout_s)
    )

"""Limits for clients: number of connections, time and size of a request.

uvicorn 0.54 waits without limit for a request that has begun. The content of a request is not checked here.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from purpleflea_sdk.http.asgi import Application, Message, Receive, Scope, Send, send_response
from purpleflea_sdk.http.response import Response, problem

MAX_BODY_BYTES = 1024 * 1024
MAX_DRAINED_BYTES = 16 * 1024 * 1024
"""Bytes read and discarded of a body that is too long. A client whose connection is closed would not read the 413."""
HEAD_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 256
"""Far below the usual limit of 1024 open files, because the journal and the exchange need some too."""


class TimeoutProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection if the head of a request is not complete in time."""

    head_timeout_s = HEAD_TIMEOUT_S
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first request, or close the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Stop the timer while a request is served, and start it when the next request is due."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._start_head_timer()
        else:
            self._stop_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class BodyLimit:
    """ASGI middleware: 413 for a body that is too long, 408 for a body that takes too long."""

    def __init__(self, app: Application, *, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body before the application gets it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(scope, receive, self._timeout_s)
        if isinstance(body, Response):
            await send_response(send, body, headers=((b"connection", b"close"),))
        elif body is not None:
            await self._app(scope, _replay(body, receive), send)


async def _read_body(scope: Scope, receive: Receive, timeout_s: float) -> bytes | Response | None:
    """Return the body, the response to a request whose body is refused, or None if the client disconnected."""
    body, received = bytearray(), 0
    too_large = _announced_length(scope) > MAX_BODY_BYTES
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                received += len(message.get("body", b""))
                too_large = too_large or received > MAX_BODY_BYTES
                if not too_large:
                    body += message.get("body", b"")
                if not message.get("more_body", False) or received > MAX_DRAINED_BYTES:
                    break
    except TimeoutError:
        return problem(408, "too_slow", f"the body was not received within {timeout_s:g} s")
    if too_large:
        return problem(413, "body_too_large", f"a request body has at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _announced_length(scope: Scope) -> int:
    lengths = (value for name, value in scope["headers"] if name.lower() == b"content-length")
    length = next(lengths, b"0")
    return int(length) if length.isdigit() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    is_replayed = False

    async def replay() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay

"""Limits for clients of an application: connections, time and size of a request, and requests in work.

uvicorn 0.54 waits without limit for a request that has begun, and answers 503 to every client once there are too many
connections. Here a new connection replaces an older one (module open_connections), and only paths that neither the
kubelet nor the operator needs have a limit of requests in work. The content of a request is not checked here.
"""

import asyncio
import itertools

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from purpleflea_contract import routes
from purpleflea_sdk.http import open_connections
from purpleflea_sdk.http.asgi import Application, Message, Receive, Scope, Send, send_response
from purpleflea_sdk.http.response import Response, problem

MAX_BODY_BYTES = 1024 * 1024
MAX_DRAINED_BYTES = 16 * 1024 * 1024
"""Bytes read and discarded of a body that is too long. A client whose connection is closed would not read the 413."""
HEAD_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 10.0
MAX_REQUESTS = 64
"""Requests in work at the same time, without those for the paths that are never refused."""
NEVER_REFUSED = frozenset({routes.HEALTH.path, routes.READY.path, routes.CONTROL.path})


class TimeoutProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection if the head of a request is not complete in time.

    It also closes another connection if there are too many.
    """

    head_timeout_s = HEAD_TIMEOUT_S
    _head_timer: asyncio.TimerHandle | None = None
    _numbers = itertools.count()

    @property
    def address(self) -> str:
        """Address of the client."""
        return self.client[0] if self.client else ""

    @property
    def waits_for_client(self) -> bool:
        """True if the next step is due at the client: to send a request or the rest of it, or to read the answer."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        is_received = self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)
        return not (is_answering and is_received) or self.flow.write_paused

    @property
    def has_unread_bytes(self) -> bool:
        """True if the client has sent bytes that are read in the next turn of the event loop."""
        return open_connections.has_unread_bytes(self.transport)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first request, and close another connection if there are too many."""
        super().connection_made(transport)
        self.number = next(self._numbers)
        self._make_room()
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

    def _make_room(self) -> None:
        others = [
            item
            for item in self.connections
            if isinstance(item, TimeoutProtocol) and item is not self
        ]
        found = open_connections.replaced(others, self)
        if isinstance(found, TimeoutProtocol):
            # uvicorn removes it later, when the transport calls connection_lost.
            self.connections.discard(found)
            found.transport.abort()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class BodyLimit:
    """ASGI middleware: 413 for a body that is too long, 408 for a body that takes too long."""

    def __init__(
        self,
        app: Application,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body before the application gets it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(scope, receive, self._max_bytes, self._timeout_s)
        if isinstance(body, Response):
            await send_response(send, body, headers=((b"connection", b"close"),))
        elif body is not None:
            await self._app(scope, _replay(body, receive), send)


class RequestLimit:
    """ASGI middleware: 503 if too many requests are in work. Probes and the operator are never refused.

    Put it behind BodyLimit, so that a client that sends its body slowly does not count.
    """

    def __init__(self, app: Application, *, max_requests: int = MAX_REQUESTS) -> None:
        self._app = app
        self._max_requests = max_requests
        self._in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or refuse it."""
        if scope["type"] != "http" or scope["path"] in NEVER_REFUSED:
            await self._app(scope, receive, send)
            return
        if self._in_work >= self._max_requests:
            detail = f"{self._max_requests} requests are in work: try again"
            await send_response(
                send, problem(503, "overloaded", detail), headers=((b"retry-after", b"1"),)
            )
            return
        self._in_work += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_work -= 1


async def _read_body(
    scope: Scope, receive: Receive, max_bytes: int, timeout_s: float
) -> bytes | Response | None:
    """Return the body, the response to a request whose body is refused, or None if the client disconnected."""
    body, received = bytearray(), 0
    too_large = _announced_length(scope) > max_bytes
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                received += len(message.get("body", b""))
                too_large = too_large or received > max_bytes
                if not too_large:
                    body += message.get("body", b"")
                if not message.get("more_body", False) or received > MAX_DRAINED_BYTES:
                    break
    except TimeoutError:
        return problem(408, "too_slow", f"the body was not received within {timeout_s:g} s")
    if too_large:
        return problem(413, "body_too_large", f"a request body has at most {max_bytes} bytes")
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

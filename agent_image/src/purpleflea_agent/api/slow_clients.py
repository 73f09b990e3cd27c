"""Bounds what a client may cost: how long it may take to say its request, and how much.

uvicorn itself waits for ever for a request that has begun (0.54); nothing here looks at what is asked.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from purpleflea_agent.api.problems import Problem, problem_response

MOST_BODY_BYTES = 1024 * 1024
MOST_DRAINED_BYTES = 16 * 1024 * 1024
"""What is read and thrown away of a body that is too long: a client that is cut off never sees why."""
HEAD_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 10.0
MOST_CONNECTIONS = 256
"""Far below the usual limit of 1024 open files: the journal and the exchange need some too."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, but a connection that does not finish the head of a request in time is closed."""

    head_timeout_s = HEAD_TIMEOUT_S
    _too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        """Stop waiting where a request is being served, begin where another one is due."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect_a_head()
        else:
            self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_a_head(self) -> None:
        if self._too_late is None:
            self._too_late = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None


class BodyLimit:
    """ASGI middleware: 413 for a body that is too long, 408 for one that takes too long."""

    def __init__(self, app: ASGIApp, *, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body first: everything behind this sees it at once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _body(scope, receive, self._timeout_s)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)


async def _body(scope: Scope, receive: Receive, timeout_s: float) -> bytes | None:
    """The body, or None where the client went away."""
    announced = Headers(scope=scope).get("content-length", "0")
    too_large = announced.isdigit() and int(announced) > MOST_BODY_BYTES
    body, heard = bytearray(), 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                heard += len(message.get("body", b""))
                too_large = too_large or heard > MOST_BODY_BYTES
                if not too_large:
                    body += message.get("body", b"")
                if not message.get("more_body", False) or heard > MOST_DRAINED_BYTES:
                    break
    except TimeoutError as error:
        raise Problem(
            408,
            "too_slow",
            f"the body did not come within {timeout_s:g} s",
            headers={"Connection": "close"},
        ) from error
    if too_large:
        raise Problem(
            413,
            "body_too_large",
            f"a request body has at most {MOST_BODY_BYTES} bytes",
            headers={"Connection": "close"},
        )
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    said = False

    async def replay() -> Message:
        nonlocal said
        if said:
            return await receive()
        said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay

"""Bounds what a client may send and how long it may take, before any route sees it.

Too much or too slow costs a client its connection, and never the agent its memory, its file descriptors or the
loop's time. What a body says is the routes' business.
"""

import asyncio
from typing import Any

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from purpleflea_agent.api.problems import Problem, problem_response

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 5.0
HEAD_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 256
"""Far below the usual limit of 1024 open files: the journal and the exchange need some too."""


class WholeBody:
    """ASGI middleware: takes in the body, so that the routes get it whole or not at all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer 413 or 408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _body(receive)
        except TimeoutError:
            problem = Problem(
                408, "too_slow", f"a request's body must arrive within {BODY_TIMEOUT_S:g} s"
            )
            await problem_response(problem)(scope, receive, send)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
        else:
            await self._app(scope, _replayed(body, receive), send)


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        # Read to its end all the same: a client that is cut off while it sends never sees the answer.
        if size <= MAX_BODY_BYTES:
            body += part
        if not message.get("more_body", False):
            break
    if size > MAX_BODY_BYTES:
        raise Problem(413, "too_large", f"a request's body has at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return rest.pop() if rest else await receive()

    return replayed


class PatientProtocol(H11Protocol):
    """uvicorn's own, which waits for ever for the end of a request's head; this one only for so long."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._last_cycle: Any = None
        self._watch = self.loop.call_later(HEAD_TIMEOUT_S, self._look)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        # Idle in h11's sense: no head is complete. And none was since the last look.
        if self.conn.their_state is h11.IDLE and self.cycle is self._last_cycle:
            self.transport.close()
            return
        self._last_cycle = self.cycle
        self._watch = self.loop.call_later(HEAD_TIMEOUT_S, self._look)

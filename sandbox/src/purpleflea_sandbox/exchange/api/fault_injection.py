"""Applies the faults that the registry selects for a request.

The middleware is outside the application, so a fault can take effect before the request is
processed or after it has been committed. Only the paths of the Seed dialect are affected: health checks
and the admin API always work.
"""

import asyncio
import contextlib
import socket
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from purpleflea_sandbox.exchange.api.dependencies import STALE
from purpleflea_sandbox.exchange.api.problems import problem, problem_response, refusal
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.core.faults import MAX_MS, Fault, FaultKind, RequestTarget
from purpleflea_sandbox.exchange.errors import TooManyError

TRANSPORT = "purpleflea.transport"
"""Key of the connection's transport in the scope's state; the server sets it."""

_DIALECT_PATHS = ("/v1/", "/faucet/")
# l_onoff=1, l_linger=0: closing the socket sends RST instead of FIN.
_RESET_ON_CLOSE = b"\x01\x00\x00\x00\x00\x00\x00\x00"


class FaultInjection:
    """ASGI middleware that applies faults."""

    def __init__(self, app: ASGIApp, state: AppState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_DIALECT_PATHS):
            await self._app(scope, receive, send)
            return
        final: Fault | None = None
        for fault in self._state.fault_registry.select(_target(scope)):
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(_seconds(fault))
            else:
                final = fault
        await self._finish(final, scope, receive, send)

    async def _finish(
        self, fault: Fault | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match fault.kind if fault is not None else None:
            case FaultKind.STATUS:
                answer = problem(
                    (fault and fault.status) or 503, "injected_fault", "a fault was injected"
                )
                await problem_response(answer)(scope, receive, send)
            case FaultKind.RATE_LIMIT:
                error = TooManyError("rate_limited", "a fault was injected", retry_after_s=1)
                await refusal(error)(scope, receive, send)
            case FaultKind.RESET:
                await _reset(scope, receive)
            case FaultKind.TIMEOUT_AFTER_COMMIT:
                await self._app(scope, receive, _swallow)
                await _silence(fault, receive)
                await _reset(scope, receive)
            case FaultKind.STALE:
                await self._app({**scope, STALE: True}, receive, send)
            case _:
                await self._app(scope, receive, send)


def _target(scope: Scope) -> RequestTarget:
    agent_id = Headers(scope=scope).get("x-agent-id", "default")
    return RequestTarget(method=scope["method"], path=scope["path"], agent_id=agent_id)


def _seconds(fault: Fault) -> float:
    return (MAX_MS if fault.ms is None else fault.ms) / 1000


async def _swallow(_: Message) -> None:
    """Discard a response that will never be sent."""


async def _silence(fault: Fault | None, receive: Receive) -> None:
    """Wait until the client has disconnected, or until the fault's time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAX_MS / 1000 if fault is None else _seconds(fault)):
            await _disconnect(receive)


async def _reset(scope: Scope, receive: Receive) -> None:
    transport: Any = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("a fault was injected, but this server cannot reset connections")
    if not transport.is_closing():
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    # If this function returned earlier, the server would try to send a 500.
    await _disconnect(receive)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

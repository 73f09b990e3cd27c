"""Applies the faults that the registry selects for a request.

The middleware is outside the application, so a fault can take effect before the request is
processed or after it has been committed. Only the paths of the Seed dialect are affected: health checks
and the admin API always work.
"""

import asyncio
import contextlib
import socket
from decimal import Decimal
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from purpleflea_sandbox.exchange.api.changed_answers import WholeAnswer, changed
from purpleflea_sandbox.exchange.api.dependencies import PLAN, STALE
from purpleflea_sandbox.exchange.api.fault_answers import gateway_answer, own_answer
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.core.faults import MAX_MS, FaultKind, RequestTarget, SelectedFault
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.orders import FillPlan
from purpleflea_sandbox.exchange.core.price_gaps import PriceGap

TRANSPORT = "purpleflea.transport"
"""Key of the connection's transport in the scope's state; the server sets it."""

DRIP_MS = 1_000
LATE_FILL_MS = 10_000
GAP_MS = 60_000
GAP_FACTORS = (Decimal("0.5"), Decimal("0.8"), Decimal("1.25"), Decimal(2))
SLICES = (2, 3, 4)
"""Defaults of the kinds; the seed chooses one of several."""

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
        final: SelectedFault | None = None
        for selected in self._state.fault_registry.select(_target(scope)):
            match selected.fault.kind:
                case FaultKind.DELAY:
                    await asyncio.sleep(_seconds(selected, MAX_MS))
                case FaultKind.PARTIAL_FILL | FaultKind.LATE_FILL:
                    scope = {**scope, PLAN: self._fill_plan(selected)}
                case FaultKind.PRICE_GAP:
                    self._begin_gap(selected)
                case _:
                    final = selected
        if final is None:
            await self._app(scope, receive, send)
        else:
            await self._finish(final, scope, receive, send)

    async def _finish(
        self, selected: SelectedFault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match selected.fault.kind:
            case FaultKind.STATUS | FaultKind.RATE_LIMIT:
                answer = own_answer(selected, self._state.venue.clock())
                await answer(scope, receive, send)
            case FaultKind.GATEWAY | FaultKind.REDIRECT | FaultKind.HTML:
                if selected.fault.after_commit is not False:
                    await self._app(scope, receive, _swallow)
                await gateway_answer(selected, _address(scope))(scope, receive, send)
            case FaultKind.RESET:
                await _reset(scope, receive)
            case FaultKind.TIMEOUT_AFTER_COMMIT:
                await self._app(scope, receive, _swallow)
                await _silence(selected, receive)
                await _reset(scope, receive)
            case FaultKind.STALE:
                await self._app({**scope, STALE: selected.fault.ms or 0}, receive, send)
            case _:
                await self._change(selected, scope, receive, send)

    async def _change(
        self, selected: SelectedFault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Process the request, and send its answer in another form."""
        answer = WholeAnswer()
        await self._app(scope, receive, answer.collect)
        match selected.fault.kind:
            case FaultKind.CUT:
                await answer.send_half(send)
                await _reset(scope, receive)
            case FaultKind.DRIP:
                await answer.drip(send, receive, _seconds(selected, DRIP_MS), _disconnect)
            case _:
                answer.change_json(lambda parsed: changed(selected, parsed))
                await answer.send(send)

    def _fill_plan(self, selected: SelectedFault) -> FillPlan:
        fault, now_ms = selected.fault, self._state.venue.clock()
        if fault.kind is FaultKind.LATE_FILL:
            return FillPlan(due_ms=now_ms + (LATE_FILL_MS if fault.ms is None else fault.ms))
        slices = fault.slices or selected.choice("slices", SLICES)
        return FillPlan(slices=slices, pause_ms=fault.ms)

    def _begin_gap(self, selected: SelectedFault) -> None:
        fault, now_ms = selected.fault, self._state.venue.clock()
        gap = PriceGap(
            factor=fault.factor or selected.choice("factor", GAP_FACTORS),
            from_ms=now_ms,
            until_ms=now_ms + (GAP_MS if fault.ms is None else fault.ms),
        )
        market = fault.market or selected.choice("market", tuple(MARKETS))
        self._state.venue.gaps.begin(market, gap)


def _target(scope: Scope) -> RequestTarget:
    agent_id = Headers(scope=scope).get("x-agent-id", "default")
    return RequestTarget(method=scope["method"], path=scope["path"], agent_id=agent_id)


def _address(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _seconds(selected: SelectedFault, default_ms: int) -> float:
    return (default_ms if selected.fault.ms is None else selected.fault.ms) / 1000


async def _swallow(_: Message) -> None:
    """Discard a response that will never be sent."""


async def _silence(selected: SelectedFault, receive: Receive) -> None:
    """Wait until the client has disconnected, or until the fault's time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_seconds(selected, MAX_MS)):
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

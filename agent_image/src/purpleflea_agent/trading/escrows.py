"""The escrow desk: opens, releases and cancels escrows, journalled and observed to completion.

An escrow whose answer was lost is repeated with the same idempotency key by whoever asked for it: the exchange opens
one per key. While halted no money leaves; taking an escrow back stays possible.
"""

from collections.abc import Awaitable, Callable

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.exchange.port import Escrow, EscrowRequest, Exchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading.orders import HALTED, OrderRefused
from purpleflea_contract import spans

STATUS_TAGS = {"released": "completed"}
"""The published integration calls a released escrow completed."""


class EscrowDesk:
    """Escrows of one agent."""

    def __init__(self, *, exchange: Exchange, journal: Journal, control: ControlFile) -> None:
        self._exchange = exchange
        self._journal = journal
        self._control = control

    async def create(self, request: EscrowRequest) -> Escrow:
        """Open an escrow."""
        self._refuse_while_halted()
        counterparty, amount = request.counterparty_id, request.amount_usd
        with tracing.span(
            spans.ESCROW_CREATE, counterparty=counterparty, amount_usd=amount
        ) as span:
            await self._journal.write_escrow(request)
            try:
                escrow = await self._exchange.create_escrow(request)
            except ExchangeError:
                metrics.record_escrow_transaction(counterparty, "failed")
                logs.log_escrow_event(counterparty, amount, "failed", "")
                raise
            span.set(escrow_id=escrow.escrow_id)
            await self._journal.open_escrow(escrow, request.idempotency_key)
            _observe(escrow)
        return escrow

    async def release(self, escrow_id: str) -> Escrow:
        """Pay an escrow out to its counterparty."""
        self._refuse_while_halted()
        return await self._move(escrow_id, spans.ESCROW_RELEASE, self._exchange.release_escrow)

    async def cancel(self, escrow_id: str) -> Escrow:
        """Take an escrow back."""
        return await self._move(escrow_id, spans.ESCROW_CANCEL, self._exchange.cancel_escrow)

    async def _move(
        self, escrow_id: str, kind: spans.Span, move: Callable[[str], Awaitable[Escrow]]
    ) -> Escrow:
        with tracing.span(kind, escrow_id=escrow_id):
            escrow = await move(escrow_id)
            await self._journal.move_escrow(escrow)
            _observe(escrow)
        return escrow

    def _refuse_while_halted(self) -> None:
        self._control.refresh()
        if self._control.is_halted:
            metrics.record_risk_refusal(HALTED)
            raise OrderRefused(HALTED)


def _observe(escrow: Escrow) -> None:
    status = STATUS_TAGS.get(escrow.status, escrow.status)
    metrics.record_escrow_transaction(escrow.counterparty_id, status, escrow.amount_usd)
    logs.log_escrow_event(escrow.counterparty_id, escrow.amount_usd, status, escrow.escrow_id)

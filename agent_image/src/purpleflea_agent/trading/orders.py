"""The order desk: the only place from which an order leaves, one at a time.

    refused? -> journal -> send -> answer -> journal
                             `-> no answer: ask by idempotency key, now and at later intervals, never send again

Every order is counted once, when its outcome is known. When to order is the loop's or the caller's business.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal

from purpleflea_agent import logs, metrics
from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import Exchange, Order, OrderRequest, OrderStatus
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.journal_store import Entry
from purpleflea_agent.tracing import ActiveSpan
from purpleflea_agent.trading import order_reports, risk
from purpleflea_agent.trading.absences import Absences
from purpleflea_agent.trading.account import Account
from purpleflea_contract import events, spans
from purpleflea_contract.settings import Risk

ASK_AFTER_S = (0.1, 0.4, 1.0, 2.0)
"""Waits before each question for an order whose answer was lost."""
ASK_FOR_S = 8.0
ORDER_PENDING = "order_pending"

logger = logging.getLogger("purpleflea.orders")


class OrderRefused(Exception):  # noqa: N818 - named by what it means
    """We refuse to send the order; nothing was written or sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the order is refused: {reason}")
        self.reason = reason


class OrderRejected(Exception):  # noqa: N818 - named by what it means
    """The exchange took the order and rejected it."""

    error_type = "rejected"


class OrderUnsettled(Exception):  # noqa: N818 - named by what it means
    """The order was sent, and nobody knows yet what came of it; the desk goes on asking."""

    error_type = "timeout"

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"the outcome of the order {idempotency_key} is not known yet")


class KeyReused(Exception):  # noqa: N818 - named by what it means
    """The idempotency key belongs to another order."""


class OrderDesk:
    """Sends orders within the limits, and settles every one that was sent."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        account: Account,
        control: ControlFile,
        limits: Risk,
        ask_after_s: Sequence[float] = ASK_AFTER_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._account = account
        self._control = control
        self._limits = limits
        self._ask_after_s = ask_after_s
        self._clock = clock
        self._monotonic = monotonic
        self._absences = Absences(monotonic=monotonic)
        self._refusals: dict[str, str] = {}
        # Two orders at once would each pass a check that only one of them may pass.
        self._turn = asyncio.Lock()

    @property
    def is_sending(self) -> bool:
        """Whether an order is on its way."""
        return self._turn.locked()

    async def place(self, request: OrderRequest, *, reference_price: Decimal) -> Order:
        """Send an order; a key that was used for the same order before gives that order again."""
        async with self._turn:
            known = await self._journal.entry(request.idempotency_key)
            if known is not None:
                return _repeated(known, request)
            reason = await self._objection(request, reference_price)
            if reason is not None:
                self._refuse(request, reason)
            self._refusals.pop(request.market, None)
            order = await self._execute(request)
            if order.filled_size:
                await self._refresh_portfolio()
            return order

    async def close_position(self, market: str, size: Decimal) -> Order:
        """Close a position of signed `size` at market price, whatever the mode and the limits: it only lowers risk."""
        request = OrderRequest(
            idempotency_key=str(uuid.uuid4()),
            market=market,
            side="sell" if size > 0 else "buy",
            size=abs(size),
        )
        async with self._turn:
            return await self._execute(request)

    async def cancel_resting(self) -> None:
        """Take back the limit orders that rest at the exchange; what filled meanwhile stays filled."""
        async with self._turn:
            for entry in await self._journal.unfinished():
                if entry.order is not None and not entry.is_unsettled:
                    try:
                        order = await self._exchange.cancel_order(entry.order.order_id)
                    except Refused:  # it is done already: settling tells how
                        continue
                    await self._settle(entry, order)

    async def settle_unfinished(self) -> None:
        """Ask for the orders of unknown outcome and for those that rest at the exchange."""
        async with self._turn:
            for entry in await self._journal.unfinished():
                order = await self._exchange.find_order(entry.request.idempotency_key)
                if entry.is_unsettled or (order and order.status is not OrderStatus.OPEN):
                    await self._settle(entry, order)

    async def _objection(self, request: OrderRequest, reference_price: Decimal) -> str | None:
        if (mode := self._mode_objection()) is not None:
            return mode
        await self._account.ensure_fresh()
        unfinished = await self._journal.unfinished()
        if any(item.is_unsettled and item.request.market == request.market for item in unfinished):
            return ORDER_PENDING
        now = self._clock()
        prospect = risk.Prospect(
            market=request.market,
            # The market's price bounds it too: a limit that is already crossed fills at a better one.
            notional_usd=request.size * max(request.price or reference_price, reference_price),
            equity_usd=self._account.portfolio.equity_usd,
            peak_equity_usd=self._account.peak_equity_usd,
            balance_usd=self._account.balance_usd,
            open_markets=self._account.open_markets,
            orders_last_minute=await self._journal.orders_between(now - 60, now),
        )
        objection = risk.refusal(prospect, self._limits)
        return objection or self._mode_objection()  # the last look before the order leaves

    def _mode_objection(self) -> str | None:
        self._control.refresh()
        return self._control.objection

    def _refuse(self, request: OrderRequest, reason: str) -> None:
        metrics.record_risk_refusal(reason)
        if self._refusals.get(request.market) != reason:  # not again at every interval
            self._refusals[request.market] = reason
            attributes = {**order_reports.described(request), "reason": reason}
            logs.log_event(events.ORDER_REFUSED, attributes)
        raise OrderRefused(reason)

    async def _execute(self, request: OrderRequest) -> Order:
        with order_reports.span(request) as span:
            await self._journal.write(request)
            started = self._monotonic()
            try:
                order = await self._send(request, span)
            except (NeverSent, Refused) as error:
                if isinstance(error, Refused):
                    span.set(status_code=error.status)
                await self._fail(request, error)
                raise
            if order.status_code is not None:
                span.set(status_code=order.status_code)
            latency_ms = (self._monotonic() - started) * 1000
            try:
                await self._finish(order, span, latency_ms=latency_ms)
            except JournalError as error:
                logger.exception("An order is done and cannot be noted; it will be asked for")
                raise OrderUnsettled(request.idempotency_key) from error
            return order

    async def _send(self, request: OrderRequest, span: ActiveSpan) -> Order:
        try:
            return await self._exchange.place_order(request)
        except OutcomeUnknown as error:
            if error.status is not None:
                span.set(status_code=error.status)
            logger.warning(
                "No answer to an order; asking for it",
                extra={**order_reports.described(request), "error.message": str(error)},
            )
            order = await self._ask(request.idempotency_key)
            if order is None:
                self._absences.begin(request.idempotency_key)
                raise OrderUnsettled(request.idempotency_key) from error
            return order

    async def _ask(self, idempotency_key: str) -> Order | None:
        try:
            async with asyncio.timeout(ASK_FOR_S):
                for wait_s in self._ask_after_s:
                    await asyncio.sleep(wait_s)
                    try:
                        order = await self._exchange.find_order(idempotency_key)
                    except ExchangeError:
                        continue
                    if order is not None:
                        return order
        except TimeoutError:
            pass
        return None

    async def _settle(self, entry: Entry, order: Order | None) -> None:
        key = entry.request.idempotency_key
        age_s = max(0.0, self._clock() - entry.written_at)
        if order is not None:
            self._absences.end(key)
            with order_reports.span(entry.request, spans.ORDER_SETTLE) as span:
                await self._finish(order, span, latency_ms=age_s * 1000, was_answered=False)
        elif self._absences.is_lost(key, wall_age_s=age_s):
            self._absences.end(key)
            lost = OutcomeUnknown("the order never reached the exchange", error_type="timeout")
            with order_reports.span(entry.request, spans.ORDER_SETTLE) as span:
                span.fail(lost)
                await self._fail(entry.request, lost)

    async def _finish(
        self, order: Order, span: ActiveSpan, *, latency_ms: float, was_answered: bool = True
    ) -> None:
        """Note the outcome everywhere; inside the order's span, so that the log line shares its trace."""
        await self._journal.settle(order)
        span.set(order_id=order.order_id, latency_ms=round(latency_ms, 2))
        if was_answered:
            metrics.record_order_latency(order.market, order.type, latency_ms)
        if order.status is OrderStatus.OPEN:  # it rests: counted when it is done
            return
        if order.status is OrderStatus.REJECTED:
            error = OrderRejected(order.reject_reason or "no reason given")
            span.fail(error)
            order_reports.log_failure(order.market, error, side=order.side, size=order.size)
            metrics.record_order_execution(order.market, error.error_type)
            return
        metrics.record_order_execution(order.market)
        if order.filled_size and order.price is not None:
            logs.log_trade_execution(
                order.market,
                order.side,
                order.filled_size,
                order.price,
                latency_ms,
                order.order_id,
            )

    async def _fail(self, request: OrderRequest, error: ExchangeError) -> None:
        await self._journal.fail(request.idempotency_key, str(error))
        metrics.record_order_execution(request.market, error.error_type)
        order_reports.log_failure(request.market, error, side=request.side, size=request.size)

    async def _refresh_portfolio(self) -> None:
        try:
            await self._account.refresh_portfolio()
        except (ExchangeError, JournalError) as error:
            logger.warning("Positions unknown after a fill", extra={"error.message": str(error)})


def _repeated(known: Entry, request: OrderRequest) -> Order:
    if known.request != request:
        raise KeyReused(f"the idempotency key {request.idempotency_key} belongs to another order")
    if known.order is not None:
        return known.order
    if known.is_unsettled:
        raise OrderUnsettled(request.idempotency_key)
    raise NeverSent(known.reason or "the order had no effect")

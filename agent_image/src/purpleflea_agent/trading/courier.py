"""The courier: carries an order from the journal to the exchange, and its outcome back.

    journal -> send -> answer -> journal
                  `-> no answer: ask by idempotency key, now and at later intervals, never send again

Every order is counted once, when its outcome is known. Whether an order may be sent is the desk's business.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from purpleflea_agent import logs, metrics
from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import Exchange, Order, OrderRequest, OrderStatus
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.journal_store import Entry
from purpleflea_agent.tracing import ActiveSpan
from purpleflea_agent.trading import order_reports
from purpleflea_agent.trading.absences import Absences
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRejected, OrderUnsettled
from purpleflea_contract import spans

ASK_AFTER_S = (0.1, 0.4, 1.0, 2.0)
"""Waits before each question for an order whose answer was lost."""
ASK_FOR_S = 8.0

logger = logging.getLogger("purpleflea.orders")


class Courier:
    """Sends orders, and learns what came of each."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        account: Account,
        ask_after_s: Sequence[float] = ASK_AFTER_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._account = account
        self._ask_after_s = ask_after_s
        self._clock = clock
        self._monotonic = monotonic
        self._absences = Absences(monotonic=monotonic)

    async def send(self, request: OrderRequest) -> Order:
        """Write an order down, send it, and note its outcome."""
        with order_reports.span(request) as span:
            await self._journal.write(request)
            started = self._monotonic()
            try:
                order = await self._sent(request, span)
            except (NeverSent, Refused) as error:
                if isinstance(error, Refused):
                    span.set(status_code=error.status)
                await self._fail(request, error)
                raise
            if order.status_code is not None:
                span.set(status_code=order.status_code)
            latency_ms = (self._monotonic() - started) * 1000
            span.set(latency_ms=round(latency_ms, 2))
            metrics.record_order_latency(order.market, order.type, latency_ms)
            try:
                await self._finish(order, span, latency_ms)
            except JournalError as error:
                logger.exception("An order is done and cannot be noted; it will be asked for")
                raise OrderUnsettled(request.idempotency_key) from error
            return order

    async def ask_for(self, entry: Entry) -> None:
        """Ask for an order of unknown outcome, or one that rests at the exchange, and note what is new."""
        order = await self._exchange.find_order(entry.request.idempotency_key)
        if order is not None:
            await self._learn(entry, order)
        elif entry.is_unsettled:
            await self._miss(entry)

    async def take_back(self, entry: Entry) -> None:
        """Cancel an order that rests at the exchange; what filled meanwhile stays filled."""
        if entry.order is None:
            return
        try:
            order = await self._exchange.cancel_order(entry.order.order_id)
        except Refused as error:
            if error.status != 409:
                raise
            await self.ask_for(entry)  # the exchange says that it is done: how, it is asked
        else:
            await self._learn(entry, order)

    async def _sent(self, request: OrderRequest, span: ActiveSpan) -> Order:
        try:
            return await self._exchange.place_order(request)
        except OutcomeUnknown as error:
            if error.status is not None:
                span.set(status_code=error.status)
            logger.warning(
                "No answer to an order; asking for it",
                extra={**order_reports.described(request), "error.message": str(error)},
            )
            order = await self._search(request.idempotency_key)
            if order is None:
                self._absences.begin(request.idempotency_key)
                raise OrderUnsettled(request.idempotency_key) from error
            return order

    async def _search(self, idempotency_key: str) -> Order | None:
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

    async def _learn(self, entry: Entry, order: Order) -> None:
        known = entry.order
        if known and (known.status, known.filled_size) == (order.status, order.filled_size):
            return
        self._absences.end(entry.request.idempotency_key)
        with order_reports.span(entry.request, spans.ORDER_SETTLE) as span:
            await self._finish(order, span, None)

    async def _miss(self, entry: Entry) -> None:
        key = entry.request.idempotency_key
        age_s = max(0.0, self._clock() - entry.written_at)
        if self._absences.is_lost(key, wall_age_s=age_s):
            self._absences.end(key)
            lost = OutcomeUnknown("the order never reached the exchange", error_type="timeout")
            with order_reports.span(entry.request, spans.ORDER_SETTLE) as span:
                span.fail(lost)
                await self._fail(entry.request, lost)

    async def _finish(self, order: Order, span: ActiveSpan, latency_ms: float | None) -> None:
        """Note the outcome everywhere; inside the order's span, so that the log line shares its trace."""
        if order.filled_size:
            self._account.expire()
        await self._journal.settle(order)
        span.set(order_id=order.order_id)
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
        await self._journal.fail(request.idempotency_key, error.in_public)
        metrics.record_order_execution(request.market, error.error_type)
        order_reports.log_failure(request.market, error, side=request.side, size=request.size)

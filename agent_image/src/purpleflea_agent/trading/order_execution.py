"""Sending of an order, and the record of its outcome in the journal, metrics, log and trace.

    journal -> mode -> send -> answer -> journal
                          `-> no usable answer: look the order up by its key, now and later; never send it again

Every order is counted once, when its outcome is known. order_manager decides whether an order may be sent.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal

from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import Exchange, Order, OrderRequest, OrderStatus
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.journal.key_values import GIVEN_UP, UNSENT
from purpleflea_agent.journal.orders import OrderEntry
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRejected, OrderUnsettled
from purpleflea_agent.trading.lookups import LOOKUP_DELAYS_S, look_up
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_S, MissingOrderTracker
from purpleflea_contract import events, spans
from purpleflea_sdk.control import SendBlocked
from purpleflea_sdk.telemetry import logs, metrics, tracing
from purpleflea_sdk.telemetry.tracing import ActiveSpan

Permit = Callable[[], AbstractContextManager[None]]
"""Checks the mode and follows the request while it is in flight: ControlFile.sending."""

logger = logging.getLogger("purpleflea.orders")


class OrderExecutor:
    """Sends orders and records the outcome of each."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        account: Account,
        lookup_delays_s: Sequence[float] = LOOKUP_DELAYS_S,
        unknown_for_s: float = ABANDON_AFTER_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._account = account
        self._lookup_delays_s = lookup_delays_s
        self._monotonic = monotonic
        self._missing_orders = MissingOrderTracker(
            abandon_after_s=unknown_for_s, monotonic=monotonic
        )

    async def send(self, request: OrderRequest, *, permit: Permit) -> Order:
        """Write an order to the journal, send it, and record its outcome.

        `permit` is entered between the write and the send, because a slow disk may delay the write past a halt.

        Raises:
            SendBlocked: The trading mode forbids the order; it was removed from the journal.
            NeverSent, Refused: The order had no effect.
            OrderUnsettled: The order may have had an effect; it is looked up later.
        """
        with _span(request) as span:
            await self._journal.write(request)
            started = self._monotonic()
            try:
                order = await self._place(request, span, permit)
            except SendBlocked:
                await self._journal.withdraw(request.idempotency_key)
                raise
            except (NeverSent, Refused) as error:
                if isinstance(error, Refused):
                    span.set(status_code=error.status)
                mark = UNSENT if error.was_before_any_effect else None
                await self._record_failure(request, error, mark)
                raise
            if order.status_code is not None:
                span.set(status_code=order.status_code)
            latency_ms = (self._monotonic() - started) * 1000
            span.set(latency_ms=round(latency_ms, 2))
            metrics.record_order_latency(order.market, order.type, latency_ms)
            try:
                await self._record_outcome(order, span, latency_ms)
            except JournalError as error:
                logger.exception("Order outcome not written to the journal; looking it up later")
                raise OrderUnsettled(request.idempotency_key) from error
            return order

    async def refresh(self, entry: OrderEntry) -> None:
        """Look up an order of unknown outcome or a resting order, and record any change."""
        order = await self._find(entry.request)
        if order is not None:
            await self._apply_update(entry, order)
        elif entry.is_unsettled:  # an order that was given up stays so
            await self._not_found(entry)

    async def cancel(self, entry: OrderEntry) -> None:
        """Cancel a resting order; a part that was filled before stays filled."""
        if entry.order is None:
            return
        try:
            order = _checked(await self._exchange.cancel_order(entry.order.order_id), entry.request)
        except Refused as error:
            if error.status != 409:
                raise
            await self.refresh(entry)  # 409: the order is done already, so look up how
        else:
            await self._apply_update(entry, order)

    async def _place(self, request: OrderRequest, span: ActiveSpan, permit: Permit) -> Order:
        try:
            with permit():
                return _checked(await self._exchange.place_order(request), request)
        except OutcomeUnknown as error:
            if error.status is not None:
                span.set(status_code=error.status)
            logger.warning(
                "No usable answer to an order; looking it up",
                extra={**attributes(request), "error.message": str(error)},
            )
            order = await look_up(lambda: self._find(request), self._lookup_delays_s)
            if order is None:
                self._missing_orders.track(request.idempotency_key)
                raise OrderUnsettled(request.idempotency_key) from error
            return order

    async def _find(self, request: OrderRequest) -> Order | None:
        order = await self._exchange.find_order(request.idempotency_key)
        return None if order is None else _checked(order, request)

    async def _apply_update(self, entry: OrderEntry, order: Order) -> None:
        known = entry.order
        if known and (known.status, known.filled_size) == (order.status, order.filled_size):
            return
        if known and order.filled_size < known.filled_size:
            return  # states arrive late and out of order, and a fill is never undone
        self._missing_orders.resolve(entry.request.idempotency_key)
        with _span(entry.request, spans.ORDER_SETTLE) as span:
            await self._record_outcome(order, span, None)

    async def _not_found(self, entry: OrderEntry) -> None:
        key = entry.request.idempotency_key
        if self._missing_orders.is_abandoned(key):
            self._missing_orders.resolve(key)
            error = OutcomeUnknown("the order never reached the exchange", error_type="timeout")
            with _span(entry.request, spans.ORDER_SETTLE) as span:
                span.fail(error)
                await self._record_failure(entry.request, error, GIVEN_UP)

    async def _record_outcome(
        self, order: Order, span: ActiveSpan, latency_ms: float | None
    ) -> None:
        """Record the outcome; called inside the span of the order, so that the log line has its trace id."""
        if order.filled_size:
            self._account.invalidate()
        await self._journal.settle(order)
        span.set(order_id=order.order_id)
        if order.status is OrderStatus.OPEN:  # a resting order is counted when it is done
            return
        if order.status is OrderStatus.REJECTED:
            error = OrderRejected(order.reject_reason or "no reason given")
            span.fail(error)
            _log_failure(order.market, error, side=order.side, size=order.size)
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

    async def _record_failure(
        self, request: OrderRequest, error: ExchangeError, mark: str | None
    ) -> None:
        await self._journal.fail(request.idempotency_key, error.in_public, mark=mark)
        metrics.record_order_execution(request.market, error.error_type)
        _log_failure(request.market, error, side=request.side, size=request.size)


def _checked(order: Order, request: OrderRequest) -> Order:
    """Return the order if it is the one that was requested, because its fill is booked as the answer describes it."""
    answered = (order.idempotency_key, order.market, order.side, order.size, order.type)
    sent = (request.idempotency_key, request.market, request.side, request.size, request.type)
    if answered != sent:
        raise OutcomeUnknown("the answer is about another order", error_type="upstream")
    return order


def attributes(request: OrderRequest) -> dict[str, str | Decimal]:
    """Return the attributes of an order in its spans and log lines."""
    return {"market": request.market, "side": request.side, "size": request.size}


def _span(
    request: OrderRequest, kind: spans.Span = spans.ORDER_EXECUTE
) -> AbstractContextManager[ActiveSpan]:
    return tracing.span(kind, **attributes(request), order_type=request.type)


def _log_failure(market: str, error: Exception, *, side: str, size: Decimal) -> None:
    logs.log_event(
        events.ORDER_FAILED,
        {
            "market": market,
            "side": side,
            "size": size,
            "error.kind": type(error).__name__,
            "error.message": str(error),
        },
    )

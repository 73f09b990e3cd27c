"""The only place from which orders are sent, one at a time, after a last check of the trading mode and the limits.

A new order must pass the mode and the limits. An order that closes a position lowers risk, so the limits do not apply
to it, but the mode must require it. order_execution sends orders; the callers decide when.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NoReturn

from purpleflea_agent.exchange.errors import ExchangeError, NeverSent
from purpleflea_agent.exchange.port import Exchange, Order, OrderRequest
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.journal.orders import OrderEntry
from purpleflea_agent.trading import order_execution
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import KeyReused, OrderRefused, OrderUnsettled
from purpleflea_agent.trading.exposure import PositionRange
from purpleflea_agent.trading.lookups import LOOKUP_DELAYS_S
from purpleflea_agent.trading.market_data import MARKET_DATA
from purpleflea_agent.trading.missing_orders import LateLookups
from purpleflea_agent.trading.order_checks import OrderChecks, is_pending
from purpleflea_agent.trading.order_execution import OrderExecutor
from purpleflea_agent.trading.order_rate import OrderRate
from purpleflea_agent.trading.request_checks import check_order
from purpleflea_agent.trading.safety_limits import GIVEN_UP_LOOKUP_S
from purpleflea_contract import events, quantities
from purpleflea_contract.settings import Risk, TradingSettings
from purpleflea_sdk.control import ControlFile, SendBlocked
from purpleflea_sdk.telemetry import logs, metrics

MAX_UNKNOWN, MAX_RESTING, MAX_GIVEN_UP = 10, 5, 3
"""Orders looked up per call. They bound the requests to the exchange, however many orders are open."""

logger = logging.getLogger("purpleflea.orders")


class OrderManager:
    """Sends orders within the limits, and settles every order that was sent.

    An order is written to the journal before it is sent, and no key is sent twice. If there is no usable answer, the
    order is looked up by its key, and its market takes no other order until the outcome is known. Orders are sent one
    at a time; the calls may come from several tasks of one event loop.
    """

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        account: Account,
        control: ControlFile,
        limits: Risk,
        trading: TradingSettings | None = None,
        lookup_delays_s: Sequence[float] = LOOKUP_DELAYS_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        trading = trading or TradingSettings()
        self._executor = OrderExecutor(
            exchange=exchange,
            journal=journal,
            account=account,
            lookup_delays_s=lookup_delays_s,
            unknown_for_s=quantities.duration(trading.unknown_order_window).total_seconds(),
            monotonic=monotonic,
        )
        self._journal = journal
        self._account = account
        self._control = control
        self._rate = OrderRate(journal, clock=clock, monotonic=monotonic)
        self._checks = OrderChecks(
            account=account,
            limits=limits,
            rate=self._rate,
            max_price_jump=quantities.decimal(trading.max_price_jump),
            monotonic=monotonic,
        )
        self._late_lookups = LateLookups(monotonic=monotonic)
        self._refusals: dict[str, str] = {}
        self._last_lookup: dict[str, int] = {}
        self._lookup_count = 0
        self._is_sending = False
        # Two orders at the same time could both pass a limit that only one of them may pass.
        self._lock = asyncio.Lock()

    @property
    def is_sending(self) -> bool:
        """True if an order is being sent, or is about to be."""
        return self._is_sending

    async def position_range(self, market: str) -> PositionRange:
        """Return the signed sizes in base units between which the position in a market is.

        It counts the reported size, the size by our own fills, and all open orders, whichever of them are filled.

        Raises:
            JournalError: The journal cannot be read.
        """
        return self._checks.position_range(market, await self._journal.unfinished())

    async def find_by_key(self, request: OrderRequest) -> Order | None:
        """Return the order that was sent under this idempotency key before, or None if there is none.

        Raises:
            KeyReused: The key belongs to a different order.
            OrderUnsettled, NeverSent: The outcome is unknown, or the order had no effect.
        """
        entry = await self._journal.entry(request.idempotency_key)
        if entry is None:
            return None
        if entry.request != request:
            raise KeyReused(
                f"the idempotency key {entry.request.idempotency_key} belongs to another order"
            )
        # An order that never had an effect may be sent again under its key.
        return None if entry.may_be_sent_again else _previous_order(entry)

    async def place(self, request: OrderRequest, *, reference_price: Decimal) -> Order:
        """Send an order, and return it; if the key was used for the same order before, return that order.

        `reference_price` is the price in US dollars that the decision is based on, larger than 0. It values a market
        order for the limits, and a jump from the last price beyond `trading.maxPriceJump` refuses the order. The
        returned order may be filled, partly filled, open (a limit order), or rejected by the exchange.

        Raises:
            OrderRefused: A limit or the trading mode forbids the order, or its market is not in `spec.markets`;
                nothing was sent. `reason` names it. An order that only shrinks a position may be in any market.
            OrderUnsettled: It was sent and its outcome is unknown. It is looked up in the background; to follow it,
                call `place` again with the same request.
            KeyReused: The key belongs to a different order; nothing was sent.
            NeverSent, Refused: It was not sent, or the exchange refused it; it had no effect.
            ExchangeError: The account could not be read for the limits; nothing was sent.
            JournalError: The order could not be written; nothing was sent.
            ValueError: A field has a wrong form, such as a float or the side "BUY"; nothing was sent.
        """
        check_order(request, reference_price)
        async with self._lock:
            with self._sending():
                previous = await self.find_by_key(request)
                if previous is not None:
                    return previous
                reason = await self._rejection_reason(request, reference_price)
                if reason is not None:
                    self._refuse(request, reason)
                self._refusals.pop(request.market, None)
                order = await self._send(request)
            if order.filled_size:
                await self._refresh_account()
            return order

    async def close_position(self, market: str) -> Order | None:
        """Close a position at market price, without limits; None if there is no position that is certain.

        The position is read here, because another order may have changed it since the caller read it. It is closed in
        mode Stopped, and when the process exits in mode Active.

        Raises:
            OrderRefused: The mode does not require closing.
            OrderUnsettled, ExchangeError, JournalError: As for `place`.
        """
        async with self._lock:
            with self._sending():
                self._refuse_unless_closing()
                await self._account.refresh_portfolio()
                size = self._account.safe_close_size(market)
                # If an order of unknown outcome may still be filled, the size to close is not known.
                if not size or is_pending(market, await self._journal.unfinished()):
                    return None
                self._rate.record()
                try:
                    return await self._executor.send(
                        _closing_order(market, size),
                        permit=lambda: self._leaving(lambda: self._control.close_block_reason),
                    )
                except SendBlocked as blocked:
                    raise OrderRefused(blocked.reason) from None

    async def _send(self, request: OrderRequest) -> Order:
        self._rate.record()
        try:
            return await self._executor.send(
                request, permit=lambda: self._leaving(lambda: self._control.block_reason)
            )
        except SendBlocked as blocked:
            self._refuse(request, blocked.reason)

    @contextlib.contextmanager
    def _leaving(self, block_reason: Callable[[], str | None]) -> Iterator[None]:
        with self._control.sending(block_reason), self._rate.leaving():
            yield

    async def cancel(self, idempotency_key: str) -> OrderEntry | None:
        """Cancel a resting order on request, in any mode, and return its new state; None if there is no such order.

        An order that is not resting any more is only returned.

        Raises:
            ExchangeError: The exchange did not cancel it; it may still be filled.
            JournalError: The journal cannot be used.
        """
        async with self._lock:
            entry = await self._journal.entry(idempotency_key)
            if entry is None or not entry.is_resting:
                return entry
            await self._executor.cancel(entry)
            return await self._journal.entry(idempotency_key)

    async def cancel_resting(self) -> None:
        """Cancel all resting orders; raise the first error after all were tried."""
        unfinished = await self._journal.unfinished()
        errors = [await self._cancel(entry.request.idempotency_key) for entry in unfinished]
        for error in errors:
            if error is not None:
                raise error

    async def settle_unfinished(self) -> None:
        """Look up orders of unknown outcome and resting orders, starting with those not looked up for longest."""
        for key in self._due(await self._journal.unfinished()):
            async with self._lock:  # one by one, so that an order can be sent in between
                entry = await self._journal.entry(key)
                if entry is not None and (entry.is_unsettled or entry.is_resting):
                    # Counted before the answer, so that a look-up that always fails is not first again.
                    self._lookup_count += 1
                    self._last_lookup[key] = self._lookup_count
                    await self._executor.refresh(entry)

        await self._look_up_given_up()

    async def _look_up_given_up(self) -> None:
        """Look up orders that were given up: an order that appears late is recorded as it is."""
        given_up = {
            entry.request.idempotency_key: entry
            for entry in await self._journal.given_up(GIVEN_UP_LOOKUP_S)
        }
        for key in self._late_lookups.due(given_up.keys(), limit=MAX_GIVEN_UP):
            async with self._lock:
                await self._executor.refresh(given_up[key])

    async def _cancel(self, key: str) -> ExchangeError | None:
        """Cancel an order; return an error that concerns only this order, so that another can still be canceled."""
        async with self._lock:
            self._control.refresh()
            if not self._control.may_cancel:
                raise OrderRefused(self._control.mode.value.lower())
            entry = await self._journal.entry(key)
            if entry is None or not entry.is_resting:
                return None
            try:
                await self._executor.cancel(entry)
            except ExchangeError as error:
                if not error.concerns_only_this_request:
                    raise
                return error
            return None

    def _due(self, unfinished: Sequence[OrderEntry]) -> list[str]:
        keys = [entry.request.idempotency_key for entry in unfinished]
        self._last_lookup = {
            key: self._last_lookup[key] for key in keys if key in self._last_lookup
        }
        by_lookup = sorted(
            unfinished, key=lambda entry: self._last_lookup.get(entry.request.idempotency_key, 0)
        )
        unknown = [entry for entry in by_lookup if entry.is_unsettled][:MAX_UNKNOWN]
        resting = [entry for entry in by_lookup if entry.is_resting][:MAX_RESTING]
        return [entry.request.idempotency_key for entry in (*unknown, *resting)]

    async def _rejection_reason(
        self, request: OrderRequest, reference_price: Decimal
    ) -> str | None:
        if (reason := self._mode_block_reason()) is not None:
            return reason
        if (problem := self._checks.data_problem(request, reference_price)) is not None:
            if self._refusals.get(request.market) != MARKET_DATA:  # log once
                logger.warning(
                    "Price or size not usable",
                    extra={"market": request.market, "error.message": problem},
                )
            return MARKET_DATA
        await self._account.ensure_fresh()
        unfinished = await self._journal.unfinished()
        refusal = await self._checks.refusal(request, reference_price, unfinished)
        return refusal or self._mode_block_reason()

    def _mode_block_reason(self) -> str | None:
        self._control.refresh()
        return self._control.block_reason

    def _refuse_unless_closing(self) -> None:
        self._control.refresh()
        reason = self._control.close_block_reason
        if reason is not None:
            raise OrderRefused(reason)

    def _refuse(self, request: OrderRequest, reason: str) -> NoReturn:
        metrics.record_risk_refusal(reason)
        if self._refusals.get(request.market) != reason:  # log once, not at every interval
            self._refusals[request.market] = reason
            attributes = {**order_execution.attributes(request), "reason": reason}
            logs.log_event(events.ORDER_REFUSED, attributes)
        raise OrderRefused(reason)

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        self._is_sending = True
        try:
            yield
        finally:
            self._is_sending = False

    async def _refresh_account(self) -> None:
        try:
            await self._account.refresh()
        except (ExchangeError, JournalError) as error:
            logger.warning(
                "Account could not be read after a fill", extra={"error.message": str(error)}
            )


def _closing_order(market: str, size: Decimal) -> OrderRequest:
    return OrderRequest(
        idempotency_key=str(uuid.uuid4()),
        market=market,
        side="sell" if size > 0 else "buy",
        size=abs(size),
    )


def _previous_order(entry: OrderEntry) -> Order:
    if entry.order is not None:
        return entry.order
    if entry.is_unsettled:
        raise OrderUnsettled(entry.request.idempotency_key)
    raise NeverSent(entry.reason or "the order had no effect")

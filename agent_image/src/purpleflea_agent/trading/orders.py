"""The order desk: the only place from which an order leaves, one at a time, and the last look before it does.

A new order must pass the mode and the limits. Closing a position lowers risk and knows no limits, but is an order too:
it needs a mode that asks for it. Carrying an order is the courier's business, when to order the caller's.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from purpleflea_agent import logs, metrics
from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError, NeverSent
from purpleflea_agent.exchange.port import Exchange, Order, OrderRequest
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.journal_store import Entry
from purpleflea_agent.trading import order_reports, risk
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.courier import ASK_AFTER_S, Courier
from purpleflea_agent.trading.errors import KeyReused, OrderRefused, OrderUnsettled
from purpleflea_contract import events
from purpleflea_contract.settings import Risk

ORDER_PENDING = "order_pending"
MOST_UNKNOWN, MOST_RESTING = 10, 5
"""Orders asked for in one go: bounds what open orders cost the exchange, however many there are."""

logger = logging.getLogger("purpleflea.orders")


class OrderDesk:
    """Sends orders within the limits, and sees to it that every one that was sent is settled."""

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
        self._courier = Courier(
            exchange=exchange,
            journal=journal,
            account=account,
            ask_after_s=ask_after_s,
            clock=clock,
            monotonic=monotonic,
        )
        self._journal = journal
        self._account = account
        self._control = control
        self._limits = limits
        self._clock = clock
        self._refusals: dict[str, str] = {}
        self._asked: dict[str, int] = {}
        self._questions = 0
        self._is_sending = False
        # Two orders at once would each pass a check that only one of them may pass.
        self._turn = asyncio.Lock()

    @property
    def is_sending(self) -> bool:
        """Whether an order is on its way, or about to be."""
        return self._is_sending

    async def repeated(self, request: OrderRequest) -> Order | None:
        """The order that was sent under this key before, if any. Raises what came of it where it is no order."""
        known = await self._journal.entry(request.idempotency_key)
        return None if known is None else _repeated(known, request)

    async def place(self, request: OrderRequest, *, reference_price: Decimal) -> Order:
        """Send an order; a key that was used for the same order before gives that order again."""
        async with self._turn:
            with self._sending():
                known = await self.repeated(request)
                if known is not None:
                    return known
                reason = await self._objection(request, reference_price)
                if reason is not None:
                    self._refuse(request, reason)
                self._refusals.pop(request.market, None)
                order = await self._courier.send(request)
            if order.filled_size:
                await self._refresh_account()
            return order

    async def close_position(self, market: str) -> Order | None:
        """Close a position at market price, whatever the limits; None where there is nothing that surely is one.

        What is held is asked for at this moment: since the caller looked, another order may have changed it.
        """
        async with self._turn:
            with self._sending():
                self._refuse_unless_closing()
                await self._account.refresh_portfolio()
                size = self._account.closable(market)
                # Where an order may still arrive, closing what is seen now would be a guess.
                if not size or self._is_pending(market, await self._journal.unfinished()):
                    return None
                self._refuse_unless_closing()  # the last look before the order leaves
                return await self._courier.send(_closing(market, size))

    async def cancel_resting(self) -> None:
        """Take back the limit orders that rest at the exchange. Raises the first refusal when all were tried."""
        unfinished = await self._journal.unfinished()
        refusals = [await self._take_back(entry.request.idempotency_key) for entry in unfinished]
        for refusal in refusals:
            if refusal is not None:
                raise refusal

    async def settle_unfinished(self) -> None:
        """Ask for orders of unknown outcome and for those that rest: each time for those asked for longest ago."""
        for key in self._due(await self._journal.unfinished()):
            async with self._turn:  # one by one: in between an order may leave
                entry = await self._journal.entry(key)
                if entry is not None and (entry.is_unsettled or entry.is_resting):
                    # Noted before the answer: one that always fails must not come first again.
                    self._questions += 1
                    self._asked[key] = self._questions
                    await self._courier.ask_for(entry)

    async def _take_back(self, key: str) -> ExchangeError | None:
        """Cancel an order; return an error that concerns only this order, so that another can still be canceled."""
        async with self._turn:
            self._refuse_unless_closing()
            entry = await self._journal.entry(key)
            if entry is None or not entry.is_resting:
                return None
            try:
                await self._courier.take_back(entry)
            except ExchangeError as error:
                if not error.concerns_only_this_request:
                    raise
                return error
            return None

    def _due(self, unfinished: Sequence[Entry]) -> list[str]:
        keys = [entry.request.idempotency_key for entry in unfinished]
        self._asked = {key: self._asked[key] for key in keys if key in self._asked}
        by_turn = sorted(
            unfinished, key=lambda entry: self._asked.get(entry.request.idempotency_key, 0)
        )
        unknown = [entry for entry in by_turn if entry.is_unsettled][:MOST_UNKNOWN]
        resting = [entry for entry in by_turn if entry.is_resting][:MOST_RESTING]
        return [entry.request.idempotency_key for entry in (*unknown, *resting)]

    async def _objection(self, request: OrderRequest, reference_price: Decimal) -> str | None:
        if (mode := self._mode_objection()) is not None:
            return mode
        await self._account.ensure_fresh()
        unfinished = await self._journal.unfinished()
        if self._is_pending(request.market, unfinished):
            return ORDER_PENDING
        now = self._clock()
        prospect = risk.Prospect(
            market=request.market,
            # The market's price bounds it too: a limit that is already crossed fills at a better one.
            notional_usd=request.size * max(request.price or reference_price, reference_price),
            equity_usd=self._account.portfolio.equity_usd,
            peak_equity_usd=self._account.peak_equity_usd,
            balance_usd=self._account.balance_usd,
            # An order that may fill at any moment is a position already.
            open_markets=self._account.open_markets | {item.request.market for item in unfinished},
            orders_last_minute=await self._journal.orders_between(now - 60, now),
        )
        objection = risk.refusal(prospect, self._limits)
        return objection or self._mode_objection()  # the last look before the order leaves

    def _mode_objection(self) -> str | None:
        self._control.refresh()
        return self._control.objection

    def _refuse_unless_closing(self) -> None:
        self._control.refresh()
        if not self._control.may_close:
            raise OrderRefused(self._control.control.mode.value.lower())

    @staticmethod
    def _is_pending(market: str, unfinished: Sequence[Entry]) -> bool:
        return any(item.is_unsettled and item.request.market == market for item in unfinished)

    def _refuse(self, request: OrderRequest, reason: str) -> None:
        metrics.record_risk_refusal(reason)
        if self._refusals.get(request.market) != reason:  # not again at every interval
            self._refusals[request.market] = reason
            attributes = {**order_reports.described(request), "reason": reason}
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
            logger.warning("Account unknown after a fill", extra={"error.message": str(error)})


def _closing(market: str, size: Decimal) -> OrderRequest:
    return OrderRequest(
        idempotency_key=str(uuid.uuid4()),
        market=market,
        side="sell" if size > 0 else "buy",
        size=abs(size),
    )


def _repeated(known: Entry, request: OrderRequest) -> Order:
    if known.request != request:
        raise KeyReused(f"the idempotency key {request.idempotency_key} belongs to another order")
    if known.order is not None:
        return known.order
    if known.is_unsettled:
        raise OrderUnsettled(request.idempotency_key)
    raise NeverSent(known.reason or "the order had no effect")

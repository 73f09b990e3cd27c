"""The paper exchange, in the process of the agent, behind the port of the exchange.

A market order is filled at once at the price at present, minus half a spread; a limit order waits until the price has
reached it. Escrows and the faucet do not exist here. Faults of a real exchange are the task of the sandbox.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from purpleflea_agent.exchange.errors import Refused
from purpleflea_agent.exchange.port import (
    Balance,
    Candles,
    Claim,
    Escrow,
    EscrowRequest,
    Order,
    OrderRequest,
    OrderStatus,
    Portfolio,
    Position,
)
from purpleflea_agent.paper import books
from purpleflea_agent.paper.books import Books, Fill
from purpleflea_agent.paper.prices import Prices
from purpleflea_contract import quantities

CURRENCY = "USDC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A fill and its time, in seconds since the epoch, for views and reports."""

    at: float
    fill: Fill
    realized_pnl_usd: Decimal


class PaperExchange:
    """One account with paper money."""

    def __init__(self, prices: Prices, *, deposit_usd: Decimal, clock: Callable[[], float]) -> None:
        self._prices = prices
        self._clock = clock
        self._orders: dict[str, Order] = {}
        self._resting: dict[str, Order] = {}
        self._markets: set[str] = set()
        self.deposit_usd = deposit_usd
        self.books = Books(cash_usd=deposit_usd, holdings={})
        self.trades: list[Trade] = []

    @property
    def orders(self) -> Sequence[Order]:
        """All orders, oldest first."""
        return list(self._orders.values())

    @property
    def equity_usd(self) -> Decimal:
        """Value of the account at the prices at present, net of all fees paid."""
        return self.books.equity_usd(self._marks())

    async def candles(self, market: str, *, interval: str, limit: int) -> Candles:
        """Return the newest candles. They have no time: a replay uses its own clock."""
        interval_s = quantities.duration(interval).total_seconds()
        return Candles(closes=tuple(self._prices.closes(market, interval_s, limit)))

    async def place_order(self, request: OrderRequest) -> Order:
        """Fill, keep or reject an order; the same key always returns the same order."""
        known = self._orders.get(request.idempotency_key)
        if known is not None:
            return known
        price = self._prices.price(request.market)
        if price is None:
            raise Refused(f"{request.market} has no price", status=422)
        self._markets.add(request.market)
        order = Order(
            order_id=f"paper-{len(self._orders) + 1}",
            idempotency_key=request.idempotency_key,
            market=request.market,
            side=request.side,
            size=request.size,
            type=request.type,
            price=request.price,
            status=OrderStatus.OPEN,
        )
        if request.price is None or books.is_crossed(request.side, request.price, price):
            order = self._filled(order, _taker_price(request, price), books.TAKER_FEE)
        self._keep(order)
        return replace(order, status_code=201)

    async def find_order(self, idempotency_key: str) -> Order | None:
        """Return the order of a key, or None."""
        self.match_resting()
        return self._orders.get(idempotency_key)

    async def cancel_order(self, order_id: str) -> Order:
        """Cancel an open limit order."""
        order = next((item for item in self._orders.values() if item.order_id == order_id), None)
        if order is None:
            raise Refused(f"there is no order {order_id}", status=404)
        if order.status is not OrderStatus.OPEN:
            raise Refused(f"the order {order_id} is {order.status.value}", status=409)
        order = replace(order, status=OrderStatus.CANCELLED)
        self._keep(order)
        return order

    async def portfolio(self) -> Portfolio:
        """Return positions and equity."""
        self.match_resting()
        marks = self._marks()
        return Portfolio(
            positions=tuple(
                Position(
                    market=market,
                    size=held.size,
                    mark_price=marks[market],
                    notional_usd=abs(held.size) * marks[market],
                    unrealized_pnl_usd=held.unrealized_pnl_usd(marks[market]),
                    realized_pnl_usd=held.realized_pnl_usd,
                )
                for market, held in sorted(self.books.holdings.items())
            ),
            equity_usd=self.books.equity_usd(marks),
        )

    async def balances(self) -> tuple[Balance, ...]:
        """Return the cash."""
        cash = self.books.cash_usd
        return (Balance(currency=CURRENCY, amount=cash, usd_value=cash),)

    def match_resting(self) -> None:
        """Fill the limit orders whose price was reached, each at its own price."""
        for order in list(self._resting.values()):
            price = self._prices.price(order.market)
            if price is None or order.price is None:
                continue
            if books.is_crossed(order.side, order.price, price):
                self._keep(self._filled(order, order.price, books.MAKER_FEE))

    def _keep(self, order: Order) -> None:
        self._orders[order.idempotency_key] = order
        self._resting.pop(order.idempotency_key, None)
        if order.status is OrderStatus.OPEN:
            self._resting[order.idempotency_key] = order

    def _filled(self, order: Order, price: Decimal, fee_rate: Decimal) -> Order:
        fill = books.fill(order.market, order.side, order.size, price, fee_rate)
        if not self.books.allows(fill, self._marks()):
            reason = f"the positions would be worth more than {books.MAX_LEVERAGE} times the equity"
            return replace(order, status=OrderStatus.REJECTED, reject_reason=reason)
        before, self.books = self.books, self.books.after(fill)
        realized = _realized(self.books, order.market) - _realized(before, order.market)
        self.trades.append(Trade(at=self._clock(), fill=fill, realized_pnl_usd=realized))
        return replace(
            order,
            status=OrderStatus.FILLED,
            price=price,
            filled_size=order.size,
            fee_usd=fill.fee_usd,
            realized_pnl_usd=realized,
        )

    def _marks(self) -> Mapping[str, Decimal]:
        """Return the price of every market that was ever traded."""
        prices = {market: self._prices.price(market) for market in self._markets}
        return {market: price for market, price in prices.items() if price is not None}

    async def create_escrow(self, request: EscrowRequest) -> Escrow:
        """Refuse: paper money cannot be paid to another agent."""
        raise _not_here("escrows")

    async def find_escrow(self, idempotency_key: str) -> Escrow | None:
        """Return None, because there is no escrow."""
        return None

    async def escrow(self, escrow_id: str) -> Escrow:
        """Refuse, because there is no escrow."""
        raise _not_here("escrows")

    async def release_escrow(self, escrow_id: str) -> Escrow:
        """Refuse, because there is no escrow."""
        raise _not_here("escrows")

    async def cancel_escrow(self, escrow_id: str) -> Escrow:
        """Refuse, because there is no escrow."""
        raise _not_here("escrows")

    async def claim_faucet(self) -> Claim:
        """Refuse: the deposit is set by --deposit-usd."""
        raise _not_here("faucet")

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def _taker_price(request: OrderRequest, price: Decimal) -> Decimal:
    """Return the price of an order that is filled at once: never worse than its limit."""
    taken = books.taker_price(request.side, price)
    if request.price is None:
        return taken
    return min(taken, request.price) if request.side == "buy" else max(taken, request.price)


def _realized(account: Books, market: str) -> Decimal:
    return account.holdings[market].realized_pnl_usd if market in account.holdings else books.ZERO


def _not_here(what: str) -> Refused:
    return Refused(f"the paper exchange has no {what}", status=404)

"""The account at the paper exchange: cash, positions and profit. Pure.

A position stores its cost and not an average price, because a rounded average would create or lose money. At every
moment: cash = deposit + realized profit - fees, and equity = cash + unrealized profit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from purpleflea_agent.exchange.port import Side

TAKER_FEE = Decimal("0.0005")
"""Fee of an order that is filled at once, as a fraction of its value."""
MAKER_FEE = Decimal("0.0002")
"""Fee of a limit order that waited for its price."""
HALF_SPREAD = Decimal("0.0001")
"""A market order is filled at a price that is worse than the market's by this fraction."""
MAX_LEVERAGE = 5
"""Largest value of all positions, as a multiple of the equity. An order beyond it is rejected."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position: signed size, signed cost, and the profit that earlier closes realized."""

    size: Decimal = ZERO
    cost_usd: Decimal = ZERO
    realized_pnl_usd: Decimal = ZERO

    def unrealized_pnl_usd(self, price: Decimal) -> Decimal:
        """Return the profit if the position were closed at `price`, before fees."""
        return self.size * price - self.cost_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A trade. The size is signed: negative for a sale."""

    market: str
    size: Decimal
    price: Decimal
    fee_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The account. It never changes; `after` returns the next state."""

    cash_usd: Decimal
    fees_usd: Decimal = ZERO
    holdings: Mapping[str, Holding]

    def after(self, fill: Fill) -> "Books":
        """Return the account after a trade."""
        held = self.holdings.get(fill.market, Holding())
        changed = _after_fill(held, fill)
        realized = changed.realized_pnl_usd - held.realized_pnl_usd
        return Books(
            cash_usd=self.cash_usd + realized - fill.fee_usd,
            fees_usd=self.fees_usd + fill.fee_usd,
            holdings={**self.holdings, fill.market: changed},
        )

    def equity_usd(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Return the value of the account at these prices."""
        unrealized = (
            held.unrealized_pnl_usd(prices[market])
            for market, held in self.holdings.items()
            if held.size
        )
        return self.cash_usd + sum(unrealized, ZERO)

    def allows(self, fill: Fill, prices: Mapping[str, Decimal]) -> bool:
        """Return whether the account can afford a trade; one that only shrinks a position is always allowed."""
        held = self.holdings.get(fill.market, Holding()).size
        if held * fill.size < 0 and abs(fill.size) <= abs(held):
            return True
        after = self.after(fill)
        notional = sum((abs(h.size) * prices[m] for m, h in after.holdings.items() if h.size), ZERO)
        return notional <= after.equity_usd(prices) * MAX_LEVERAGE


def fill(market: str, side: Side, size: Decimal, price: Decimal, fee_rate: Decimal) -> Fill:
    """Return the trade of an order at `price`."""
    signed = size if side == "buy" else -size
    return Fill(market=market, size=signed, price=price, fee_usd=size * price * fee_rate)


def taker_price(side: Side, price: Decimal) -> Decimal:
    """Return the price of a market order while the market is at `price`."""
    return price * (1 + HALF_SPREAD if side == "buy" else 1 - HALF_SPREAD)


def is_crossed(side: Side, limit: Decimal, price: Decimal) -> bool:
    """Return whether the market has reached the limit of an order."""
    return price <= limit if side == "buy" else price >= limit


def _after_fill(held: Holding, fill: Fill) -> Holding:
    closed = ZERO
    if held.size * fill.size < 0:
        closed = fill.size if abs(fill.size) <= abs(held.size) else -held.size
    released = _cost_of(held, closed)
    return replace(
        held,
        size=held.size + fill.size,
        cost_usd=held.cost_usd - released + (fill.size - closed) * fill.price,
        realized_pnl_usd=held.realized_pnl_usd - closed * fill.price - released,
    )


def _cost_of(held: Holding, closed: Decimal) -> Decimal:
    """Return the part of the cost that belongs to the part of a position that `closed` closes."""
    if closed == -held.size:  # the whole cost, without the rounding of a division
        return held.cost_usd
    return held.cost_usd * -closed / held.size if closed else ZERO

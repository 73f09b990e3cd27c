"""The exposure of the account: the largest position that each market may have once its open orders are filled. Pure.

A report of the exchange may be older than our own fills, and an order of unknown outcome may be filled already. So the
larger of both sizes counts, and every open order counts at its full unfilled size.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.exchange.port import Side
from purpleflea_agent.journal.orders import OrderEntry

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRange:
    """The signed sizes between which the position of one market is, whichever of its open orders are filled."""

    shortest: Decimal = ZERO
    longest: Decimal = ZERO

    @property
    def largest(self) -> Decimal:
        """Largest size in any direction."""
        return max(self.longest, -self.shortest, ZERO)

    def toward(self, side: Side) -> Decimal:
        """Return the signed size that is furthest in the direction of an order."""
        return self.longest if side == "buy" else self.shortest

    def after(self, side: Side, size: Decimal) -> Decimal:
        """Return the largest size, without sign, that an order may lead to in its direction; zero if it only closes."""
        directed = self.longest if side == "buy" else -self.shortest
        return max(ZERO, directed + size)


def position_range(sizes: Iterable[Decimal], orders: Iterable[OrderEntry]) -> PositionRange:
    """Return the range of a market from its possible sizes and its open orders."""
    known = [ZERO] if not (given := list(sizes)) else given
    open_orders = list(orders)
    bought = sum((open_size(item) for item in open_orders if item.request.side == "buy"), ZERO)
    sold = sum((open_size(item) for item in open_orders if item.request.side == "sell"), ZERO)
    return PositionRange(shortest=min(known) - sold, longest=max(known) + bought)


def open_size(entry: OrderEntry) -> Decimal:
    """Return the part of an open order that may still be filled."""
    return entry.request.size - (entry.order.filled_size if entry.order else ZERO)


def of_market(market: str, orders: Iterable[OrderEntry]) -> list[OrderEntry]:
    """Return the orders of one market."""
    return [item for item in orders if item.request.market == market]


def total_usd(
    ranges: Mapping[str, PositionRange], prices: Mapping[str, Sequence[Decimal]]
) -> Decimal | None:
    """Return the sum of the largest notional values; None if a market with exposure has no price.

    A market may have several prices (the mark price, limit prices); the highest counts.
    """
    total = ZERO
    for market, sizes in ranges.items():
        if not sizes.largest:
            continue
        if not prices.get(market):
            return None
        total += sizes.largest * max(prices[market])
    return total

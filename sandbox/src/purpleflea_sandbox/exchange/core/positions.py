"""Net positions and their profit and loss, exact to the last digit.

A position stores its cost instead of an average price. Averages do not divide evenly, and a rounded
average would create or lose money. For every account: cash - deposits + fees + (sum of signed
notionals) - cost is exactly 0.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

_COST_STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Net position of one account in one market; a short position has negative size and negative
    cost.
    """

    market: str
    size: Decimal = Decimal(0)
    cost_usd: Decimal = Decimal(0)
    realized_pnl_usd: Decimal = Decimal(0)

    @property
    def entry_price(self) -> Decimal:
        if not self.size:
            return Decimal(0)
        return (self.cost_usd / self.size).quantize(_COST_STEP)

    def notional_usd(self, mark: Decimal) -> Decimal:
        return abs(self.size) * mark

    def unrealized_pnl_usd(self, mark: Decimal) -> Decimal:
        return self.size * mark - self.cost_usd


def after_fill(position: Position, size: Decimal, price: Decimal) -> tuple[Position, Decimal]:
    """Return the position after a trade of signed `size`, and the profit that the trade realized."""
    reduces = position.size * size < 0
    closed = _clamped(-size, position.size) if reduces else Decimal(0)
    released = _share(position, closed)
    realized = closed * price - released
    opened = size + closed
    changed = replace(
        position,
        size=position.size + size,
        cost_usd=position.cost_usd - released + opened * price,
        realized_pnl_usd=position.realized_pnl_usd + realized,
    )
    return changed, realized


def _clamped(wanted: Decimal, limit: Decimal) -> Decimal:
    return wanted if abs(wanted) <= abs(limit) else limit


def _share(position: Position, closed: Decimal) -> Decimal:
    """Return the part of the cost that belongs to the closed part of the position."""
    if closed == position.size:
        return position.cost_usd
    return (position.cost_usd * closed / position.size).quantize(_COST_STEP)

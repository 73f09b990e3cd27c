"""Value of an account and its limits: the collateral is USDC, and the notional of positions is at
most MAX_LEVERAGE times equity.

There is no liquidation, because at this leverage the bounded price process cannot reduce an account
below zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_sandbox.exchange.core.matching import Fill
from purpleflea_sandbox.exchange.core.positions import Position, after_fill

MAX_LEVERAGE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Cash and positions of an account, with the mark price of every market."""

    cash_usd: Decimal
    positions: Mapping[str, Position]
    marks: Mapping[str, Decimal]

    @property
    def equity_usd(self) -> Decimal:
        unrealized = (p.unrealized_pnl_usd(self.marks[p.market]) for p in self.positions.values())
        return self.cash_usd + sum(unrealized, Decimal(0))

    @property
    def notional_usd(self) -> Decimal:
        notionals = (p.notional_usd(self.marks[p.market]) for p in self.positions.values())
        return sum(notionals, Decimal(0))

    @property
    def free_usd(self) -> Decimal:
        """Return the amount that may leave the account; unrealized profit is never included."""
        bound = self.notional_usd / MAX_LEVERAGE
        return max(min(self.equity_usd - bound, self.cash_usd), Decimal(0))

    @property
    def is_covered(self) -> bool:
        return self.notional_usd <= self.equity_usd * MAX_LEVERAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Effect of a fill on an account."""

    position: Position
    realized_pnl_usd: Decimal
    is_affordable: bool


def settlement(holdings: Holdings, fill: Fill) -> Settlement:
    """Return the account's new position; a trade that only reduces exposure is always affordable."""
    name = fill.market.name
    held = holdings.positions.get(name, Position(market=name))
    position, realized = after_fill(held, fill.size, fill.price)
    after = Holdings(
        cash_usd=holdings.cash_usd + realized - fill.fee_usd,
        positions={**holdings.positions, name: position},
        marks=holdings.marks,
    )
    only_reduces = held.size * fill.size < 0 and abs(fill.size) <= abs(held.size)
    return Settlement(
        position=position,
        realized_pnl_usd=realized,
        is_affordable=only_reduces or after.is_covered,
    )

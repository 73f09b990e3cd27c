"""The limits of spec.risk, checked before every order. Pure.

An ordered tuple of checks, each named as the contract's tag `reason`; the first that objects refuses the order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_contract.settings import Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What is known at the moment an order is about to be sent."""

    market: str
    notional_usd: Decimal
    equity_usd: Decimal
    peak_equity_usd: Decimal
    balance_usd: Decimal
    open_markets: frozenset[str]
    orders_last_minute: int


def drawdown_pct(equity_usd: Decimal, peak_usd: Decimal) -> Decimal:
    """How far the equity is below its peak, in percent of the peak."""
    if peak_usd <= 0:
        return Decimal(0)
    return max(Decimal(0), (peak_usd - equity_usd) / peak_usd * 100)


def _drawdown_is_too_deep(prospect: Prospect, limits: Risk) -> bool:
    fall = drawdown_pct(prospect.equity_usd, prospect.peak_equity_usd)
    return fall >= limits.max_drawdown_pct


def _balance_is_too_low(prospect: Prospect, limits: Risk) -> bool:
    return prospect.balance_usd < Decimal(limits.min_balance_usd)


def _order_is_too_large(prospect: Prospect, limits: Risk) -> bool:
    return prospect.notional_usd > Decimal(limits.max_order_usd)


def _positions_are_too_many(prospect: Prospect, limits: Risk) -> bool:
    opens_one = prospect.market not in prospect.open_markets
    return opens_one and len(prospect.open_markets) >= limits.max_open_positions


def _orders_are_too_frequent(prospect: Prospect, limits: Risk) -> bool:
    return prospect.orders_last_minute >= limits.max_orders_per_minute


Check = Callable[[Prospect, Risk], bool]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("max_drawdown", _drawdown_is_too_deep),
    ("min_balance", _balance_is_too_low),
    ("max_order", _order_is_too_large),
    ("max_open_positions", _positions_are_too_many),
    ("max_orders_per_minute", _orders_are_too_frequent),
)


def refusal(prospect: Prospect, limits: Risk) -> str | None:
    """The name of the first limit that forbids the order, or None."""
    return next((name for name, objects in CHECKS if objects(prospect, limits)), None)

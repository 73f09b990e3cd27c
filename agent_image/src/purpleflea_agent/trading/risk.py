"""The limits of spec.risk, checked before every order. Pure.

An ordered tuple of checks, each with the value of the contract's tag `reason`; the first violated limit refuses the
order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.trading.sizing import max_position_usd
from purpleflea_contract.settings import Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContext:
    """The state of the account when an order is about to be sent."""

    market: str
    notional_usd: Decimal
    equity_usd: Decimal
    peak_equity_usd: Decimal
    balance_usd: Decimal
    open_markets: frozenset[str]
    orders_last_minute: int
    position_usd: Decimal = Decimal(0)
    """Largest notional value of the position in the direction of the order, if all open orders are filled too."""
    exposure_usd: Decimal = Decimal(0)
    """The same over all markets, long and short added."""
    only_reduces: bool = False
    """True if the order shrinks the position and cannot open another. Limits of loss do not apply to it."""


def drawdown_pct(equity_usd: Decimal, peak_usd: Decimal) -> Decimal:
    """Return the fall of the equity from its peak, in percent of the peak."""
    if peak_usd <= 0:
        return Decimal(0)
    return max(Decimal(0), (peak_usd - equity_usd) / peak_usd * 100)


def _drawdown_is_too_deep(context: OrderContext, limits: Risk) -> bool:
    if context.only_reduces:
        return False
    if context.equity_usd < 0:
        return True  # more than everything is lost, whatever the peak is
    fall = drawdown_pct(context.equity_usd, context.peak_equity_usd)
    return fall >= limits.max_drawdown_pct


def _balance_is_too_low(context: OrderContext, limits: Risk) -> bool:
    return not context.only_reduces and context.balance_usd < Decimal(limits.min_balance_usd)


def _order_is_too_large(context: OrderContext, limits: Risk) -> bool:
    return context.notional_usd > Decimal(limits.max_order_usd)


def _position_is_too_large(context: OrderContext, limits: Risk) -> bool:
    return not context.only_reduces and context.position_usd > max_position_usd(limits)


def _exposure_is_too_large(context: OrderContext, limits: Risk) -> bool:
    if context.only_reduces or limits.max_exposure_usd is None:
        return False
    return context.exposure_usd > Decimal(limits.max_exposure_usd)


def _positions_are_too_many(context: OrderContext, limits: Risk) -> bool:
    is_new = context.market not in context.open_markets
    return is_new and len(context.open_markets) >= limits.max_open_positions


def _orders_are_too_frequent(context: OrderContext, limits: Risk) -> bool:
    return context.orders_last_minute >= limits.max_orders_per_minute


Check = Callable[[OrderContext, Risk], bool]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("max_drawdown", _drawdown_is_too_deep),
    ("min_balance", _balance_is_too_low),
    ("max_order", _order_is_too_large),
    ("max_position", _position_is_too_large),
    ("max_exposure", _exposure_is_too_large),
    ("max_open_positions", _positions_are_too_many),
    ("max_orders_per_minute", _orders_are_too_frequent),
)


def refusal(context: OrderContext, limits: Risk) -> str | None:
    """Return the name of the first limit that forbids the order, or None."""
    return next((name for name, is_violated in CHECKS if is_violated(context, limits)), None)

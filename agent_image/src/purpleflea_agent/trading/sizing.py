"""The next order, from a signal and the current position. Pure.

A position grows by one order size per interval up to its full size: MAX_STEPS order sizes, or fewer if
spec.risk.maxPositionUsd allows less. A signal that persists then has no effect, unless the spec requests to take
profit. A signal in the other direction reverses the position in one order. No order is worth more than the risk limit.
"""

from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.exchange.port import Side
from purpleflea_contract.settings import Risk

MAX_STEPS = 4
"""Largest position in order sizes. It bounds the loss in one market, even in a trend without end."""
POSITION_ORDERS = 10
"""Default of spec.risk.maxPositionUsd, in multiples of maxOrderUsd. It is more than the full size of a position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The sizes that the user allows."""

    order_size: Decimal
    signal_threshold: Decimal
    max_order_usd: Decimal
    max_position_usd: Decimal
    takes_profit: bool = False
    """True if a signal that persists at the full size closes one order size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next order."""

    side: Side
    size: Decimal


def max_position_usd(limits: Risk) -> Decimal:
    """Return the largest notional value of a position in one market."""
    if limits.max_position_usd is not None:
        return Decimal(limits.max_position_usd)
    return POSITION_ORDERS * Decimal(limits.max_order_usd)


def side_of(signal: Decimal) -> Side:
    """Return the side of an order in the direction of a signal."""
    return "buy" if signal > 0 else "sell"


def next_step(signal: Decimal, *, position: Decimal, price: Decimal, sizing: Sizing) -> Step | None:
    """Return the next order, or None if the signal is too weak or the position has its full size.

    `position` is the signed size that is furthest in the direction of the signal, if several are possible.
    """
    if not signal or abs(signal) < sizing.signal_threshold:
        return None
    side = side_of(signal)
    directed = position if side == "buy" else -position
    if directed < 0:
        # Close and reopen in one order, up to the largest size of an order.
        return Step(side=side, size=_affordable(sizing.order_size - directed, price, sizing))
    if directed + sizing.order_size > _full_size(price, sizing):
        if not sizing.takes_profit or directed < sizing.order_size:
            return None
        return Step(side="sell" if side == "buy" else "buy", size=sizing.order_size)
    return Step(side=side, size=sizing.order_size)


def _full_size(price: Decimal, sizing: Sizing) -> Decimal:
    # At least one step. If that is too much, the risk check refuses it with a reason.
    steps = min(Decimal(MAX_STEPS), _steps(sizing.max_position_usd, price, sizing))
    return steps * sizing.order_size


def _affordable(size: Decimal, price: Decimal, sizing: Sizing) -> Decimal:
    return min(size, _steps(sizing.max_order_usd, price, sizing) * sizing.order_size)


def _steps(amount_usd: Decimal, price: Decimal, sizing: Sizing) -> Decimal:
    # Whole order sizes, because the exchange accepts only multiples of its size step.
    return max(Decimal(1), (amount_usd / price) // sizing.order_size)

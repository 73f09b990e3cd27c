"""The next order, from a signal and the current position. Pure.

A position grows by one order size per interval up to MAX_STEPS. At that size one step of profit is taken. A signal in
the other direction reverses the position in one order. No order is worth more than the risk limit.
"""

from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.exchange.port import Side

MAX_STEPS = 4
"""Largest position in order sizes. It bounds the loss in one market, even in a trend without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The sizes that the user allows."""

    order_size: Decimal
    signal_threshold: Decimal
    max_order_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next order."""

    side: Side
    size: Decimal


def next_step(signal: Decimal, *, position: Decimal, price: Decimal, sizing: Sizing) -> Step | None:
    """Return the next order, or None if the signal is too weak."""
    if not signal or abs(signal) < sizing.signal_threshold:
        return None
    side: Side = "buy" if signal > 0 else "sell"
    directed = position if side == "buy" else -position
    if directed < 0:
        # Close and reopen in one order, up to the largest size of an order.
        return Step(side=side, size=_affordable(sizing.order_size - directed, price, sizing))
    if directed + sizing.order_size > MAX_STEPS * sizing.order_size:
        other: Side = "sell" if side == "buy" else "buy"
        return Step(side=other, size=sizing.order_size)
    return Step(side=side, size=sizing.order_size)


def _affordable(size: Decimal, price: Decimal, sizing: Sizing) -> Decimal:
    # Whole order sizes, because the exchange accepts only multiples of its size step.
    steps = (sizing.max_order_usd / price) // sizing.order_size
    # At least one step. If that is too much, the risk check refuses it with a reason.
    return min(size, max(steps, Decimal(1)) * sizing.order_size)

"""From a signal and the present position to the next order. Pure.

A position grows by one order size per interval up to MOST_STEPS; at that size profit is taken by one step; a signal
in the other direction turns it round at once. No order is worth more than the risk limit.
"""

from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.exchange.port import Side

MOST_STEPS = 4
"""Order sizes a position may hold: bounds what one market can lose, also where a trend never ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What the user allows."""

    order_size: Decimal
    signal_threshold: Decimal
    max_order_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The order to send next."""

    side: Side
    size: Decimal


def next_step(signal: Decimal, *, position: Decimal, price: Decimal, sizing: Sizing) -> Step | None:
    """The next order, or None where the signal is too weak."""
    if not signal or abs(signal) < sizing.signal_threshold:
        return None
    side: Side = "buy" if signal > 0 else "sell"
    held = position if side == "buy" else -position
    if held < 0:
        # Close and open in one order, as far as one order may go.
        return Step(side=side, size=_affordable(sizing.order_size - held, price, sizing))
    if held + sizing.order_size > MOST_STEPS * sizing.order_size:
        other: Side = "sell" if side == "buy" else "buy"
        return Step(side=other, size=sizing.order_size)
    return Step(side=side, size=sizing.order_size)


def _affordable(size: Decimal, price: Decimal, sizing: Sizing) -> Decimal:
    # Whole order sizes: the exchange takes multiples of a step that the order size already is.
    steps = (sizing.max_order_usd / price) // sizing.order_size
    # Never below one: where that is too much already, the risk check shall say so.
    return min(size, max(steps, Decimal(1)) * sizing.order_size)

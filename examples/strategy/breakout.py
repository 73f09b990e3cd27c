"""A strategy: follow the price when it leaves the range of the last 20 prices."""

from collections.abc import Sequence
from decimal import Decimal

RANGE = 20


def breakout(closes: Sequence[Decimal]) -> Decimal:
    if len(closes) <= RANGE:
        return Decimal(0)
    price, recent = closes[-1], closes[-RANGE - 1 : -1]
    if min(recent) <= price <= max(recent):
        return Decimal(0)
    middle = (min(recent) + max(recent)) / 2
    return (price - middle) / middle

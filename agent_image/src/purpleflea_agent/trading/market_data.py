"""Validation of prices at the border, before a strategy, the sizing or a limit uses them.

A price that fails refuses its market and no other. The constants are in safety_limits.
"""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

from purpleflea_agent.trading.safety_limits import (
    MAX_PRICE_JUMP,
    MAX_PRICE_USD,
    MIN_PRICE_USD,
    PRICE_MEMORY_S,
)

MARKET_DATA = "market_data"
"""Value of the contract's tag `reason` for a market whose prices or signal are not usable."""


class UnusableMarketData(Exception):  # noqa: N818 - the name states the meaning
    """The prices or the signal of one market are not usable, so the market is not traded."""


def price_problem(price: Decimal) -> str | None:
    """Describe why a price is not usable; None if it is."""
    if not price.is_finite() or price <= 0:
        return f"the price {price} is not a positive number"
    if not MIN_PRICE_USD <= price <= MAX_PRICE_USD:
        return f"the price {price} is outside of {MIN_PRICE_USD} to {MAX_PRICE_USD}"
    return None


def closes_problem(closes: Sequence[Decimal]) -> str | None:
    """Describe why closing prices are not usable; None if they are."""
    problems = (problem for close in closes if (problem := price_problem(close)))
    jumps = (jump for pair in pairwise(closes) if (jump := _jump(*pair)))
    # The prices come first, because a jump cannot be computed from a price that is not a number.
    return next(problems, None) or next(jumps, None)


class ReferencePrices:
    """The price of the last order in each market, to recognize a price that only looks usable."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: dict[str, tuple[Decimal, float]] = {}

    def problem(self, market: str, price: Decimal) -> str | None:
        """Describe why a price is not usable; None if it is, and it is remembered."""
        problem = price_problem(price)
        if problem is not None:
            return problem
        now = self._monotonic()
        last, at = self._last.get(market, (price, now))
        if now - at <= PRICE_MEMORY_S and (jump := _jump(last, price)):
            return jump
        self._last[market] = (price, now)
        return None


def _jump(before: Decimal, after: Decimal) -> str | None:
    if max(before, after) > min(before, after) * MAX_PRICE_JUMP:
        return (
            f"the price jumped from {before} to {after}, more than by a factor of {MAX_PRICE_JUMP}"
        )
    return None

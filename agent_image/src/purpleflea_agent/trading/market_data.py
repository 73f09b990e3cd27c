"""Validation of prices at the border, before a strategy, the sizing or a limit uses them.

A price that fails refuses its market and no other. The constants are in safety_limits.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Self

from purpleflea_agent.exchange.port import Candles
from purpleflea_agent.trading.safety_limits import (
    MAX_PRICE_USD,
    MIN_PRICE_USD,
    PRICE_MEMORY_S,
)
from purpleflea_contract import quantities
from purpleflea_contract.settings import TradingSettings

MARKET_DATA = "market_data"
"""Value of the contract's tag `reason` for a market whose prices or signal are not usable."""

MAX_PRICE_JUMP = quantities.decimal(TradingSettings().max_price_jump)
"""Default of the largest factor between two consecutive closing prices."""


class UnusableMarketData(Exception):  # noqa: N818 - the name states the meaning
    """The prices or the signal of one market are not usable, so the market is not traded."""


def price_problem(price: Decimal) -> str | None:
    """Describe why a price is not usable; None if it is."""
    if not price.is_finite() or price <= 0:
        return f"the price {price} is not a positive number"
    if not MIN_PRICE_USD <= price <= MAX_PRICE_USD:
        return f"the price {price} is outside of {MIN_PRICE_USD} to {MAX_PRICE_USD}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBounds:
    """The bounds of spec.trading for prices."""

    max_jump: Decimal
    max_age: timedelta

    @classmethod
    def of(cls, trading: TradingSettings) -> Self:
        """Return the bounds in the settings."""
        return cls(
            max_jump=quantities.decimal(trading.max_price_jump),
            max_age=quantities.duration(trading.max_candle_age),
        )


def candles_problem(
    candles: Candles, bounds: PriceBounds, *, interval: timedelta, now: datetime
) -> str | None:
    """Describe why candles are not usable; None if they are. `now` needs a time zone."""
    return closes_problem(candles.closes, bounds.max_jump) or _age_problem(
        candles.newest_at, bounds.max_age, interval=interval, now=now
    )


def _age_problem(
    newest_at: datetime | None, max_age: timedelta, *, interval: timedelta, now: datetime
) -> str | None:
    if newest_at is None:
        return None
    age_s = (now - newest_at - interval).total_seconds()
    if age_s > max_age.total_seconds():
        return (
            f"the newest candle ended {age_s:.0f} s ago, more than {max_age.total_seconds():.0f} s"
        )
    # Without this check, an agent whose clock is late would use prices of any age.
    if newest_at - now > max_age:
        return f"the newest candle starts at {newest_at:%Y-%m-%dT%H:%M:%SZ}, after the time of this clock"
    return None


def closes_problem(closes: Sequence[Decimal], max_jump: Decimal = MAX_PRICE_JUMP) -> str | None:
    """Describe why closing prices are not usable; None if they are. `max_jump` is a factor above 1."""
    problems = (problem for close in closes if (problem := price_problem(close)))
    jumps = (jump for pair in pairwise(closes) if (jump := _jump(*pair, max_jump)))
    # The prices come first, because a jump cannot be computed from a price that is not a number.
    return next(problems, None) or next(jumps, None)


class ReferencePrices:
    """The price of the last order in each market, to recognize a price that only looks usable."""

    def __init__(
        self, *, max_jump: Decimal, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_jump = max_jump
        self._monotonic = monotonic
        self._last: dict[str, tuple[Decimal, float]] = {}

    def last(self, market: str) -> Decimal | None:
        """Return the price of the last order in a market, of any age; None if there is none."""
        return self._last[market][0] if market in self._last else None

    def problem(self, market: str, price: Decimal) -> str | None:
        """Describe why a price is not usable; None if it is, and it is remembered."""
        problem = price_problem(price)
        if problem is not None:
            return problem
        now = self._monotonic()
        last, at = self._last.get(market, (price, now))
        if now - at <= PRICE_MEMORY_S and (jump := _jump(last, price, self._max_jump)):
            return jump
        self._last[market] = (price, now)
        return None


def _jump(before: Decimal, after: Decimal, most: Decimal) -> str | None:
    if max(before, after) > min(before, after) * most:
        return f"the price jumped from {before} to {after}, more than by a factor of {most}"
    return None

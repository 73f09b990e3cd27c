"""Prices of the paper exchange: a simulated market, or recorded candles."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Protocol

from purpleflea_agent.paper.candles import Candles

ANCHORS = {"BTC-USD": 60_000.0, "ETH-USD": 3_000.0, "SOL-USD": 150.0}
"""Center of the simulated price, in US dollars; other markets start at OTHER_ANCHOR."""
OTHER_ANCHOR = 100.0
STEP_S = 1.0
VOLATILITY = 0.0006
"""Standard deviation of the logarithm of the price in one step."""
REVERSION = 0.0005
"""Share of the distance to the anchor that each step removes, so that a long run stays near the anchor."""
HISTORY_S = 3 * 3600
"""Length of the history at the start, so that a strategy has prices at once."""
SIGNIFICANT_DIGITS = 7


class Prices(Protocol):
    """Prices of all markets at the present time."""

    def price(self, market: str) -> Decimal | None:
        """Return the price, or None if the market has none (yet)."""

    def closes(self, market: str, interval_s: float, limit: int) -> Sequence[Decimal]:
        """Return the last closing prices, oldest first; the last is the price at present."""


class SimulatedPrices:
    """A random walk per market around its anchor. The same seed gives the same prices at the same time of the run."""

    def __init__(self, *, seed: int, monotonic: Callable[[], float]) -> None:
        self._seed = seed
        self._monotonic = monotonic
        self._started = monotonic()
        self._walks: dict[str, _Walk] = {}

    def price(self, market: str) -> Decimal | None:
        """Return the price at present."""
        return self._walk(market).at(self._now())

    def closes(self, market: str, interval_s: float, limit: int) -> Sequence[Decimal]:
        """Return the price at present and at the interval's steps before it, as far back as the history exists."""
        walk, now = self._walk(market), self._now()
        moments = (now - interval_s * back for back in range(limit - 1, -1, -1))
        return [walk.at(moment) for moment in moments if moment >= 0]

    def _now(self) -> float:
        return HISTORY_S + self._monotonic() - self._started

    def _walk(self, market: str) -> "_Walk":
        if market not in self._walks:
            self._walks[market] = _Walk(f"{self._seed}/{market}", ANCHORS.get(market, OTHER_ANCHOR))
        return self._walks[market]


class ReplayedPrices:
    """Recorded candles, up to the one that is being traded. Later candles cannot be read."""

    def __init__(self, candles: Mapping[str, Candles], *, clock: Callable[[], float]) -> None:
        self._candles = candles
        self._clock = clock

    def price(self, market: str) -> Decimal | None:
        """Return the closing price of the present candle."""
        count = self._count(market)
        return self._candles[market].closes[count - 1] if count else None

    def closes(self, market: str, interval_s: float, limit: int) -> Sequence[Decimal]:
        """Return the closing prices of the last candles; the interval is that of the file."""
        count = self._count(market)
        return self._candles[market].closes[max(0, count - limit) : count] if count else []

    def _count(self, market: str) -> int:
        return self._candles[market].count_until(self._clock()) if market in self._candles else 0


class _Walk:
    def __init__(self, seed: str, anchor: float) -> None:
        # Not for security: the same seed must give the same prices.
        self._random = random.Random(seed)  # noqa: S311
        self._anchor = anchor
        self._offsets = [0.0]

    def at(self, at_s: float) -> Decimal:
        step = int(at_s / STEP_S)
        while len(self._offsets) <= step:
            last = self._offsets[-1]
            self._offsets.append(last * (1 - REVERSION) + self._random.gauss(0.0, VOLATILITY))
        return _rounded(self._anchor * math.exp(self._offsets[step]))


def _rounded(price: float) -> Decimal:
    exponent = math.floor(math.log10(price)) - SIGNIFICANT_DIGITS + 1
    return Decimal(price).quantize(Decimal(1).scaleb(exponent), ROUND_HALF_EVEN)

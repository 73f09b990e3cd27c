"""Simulated price: a pure function of (seed, market, time), so the history is always available and
every run is identical.

A price is the anchor of its market times e to the power of a sum of waves. Each wave interpolates
smoothly between knots, and each knot is a hash. Waves are bounded, so a price cannot diverge, and
they cannot wipe out an account below the leverage limit.
"""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

from purpleflea_sandbox.exchange.core.markets import Market

SAMPLES_PER_CANDLE = 8

# (milliseconds between knots, largest deviation as a fraction). Short waves move ten points of 1 s,
# long waves ten points of 15 s; together they stay within 3.2 % of the anchor.
WAVES = (
    (3_000, 0.0004),
    (13_000, 0.0014),
    (47_000, 0.0030),
    (190_000, 0.0060),
    (1_700_000, 0.0080),
    (19_000_000, 0.0120),
)

_CENT_OF_SIZE = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def price_at(seed: int, market: Market, at_ms: int) -> Decimal:
    """Return the market's price at one time, on its tick grid."""
    swing = sum(
        amplitude * _wave(seed, f"{market.name}/{number}", at_ms, period_ms)
        for number, (period_ms, amplitude) in enumerate(WAVES)
    )
    value = float(market.anchor_usd) * math.exp(market.volatility_factor * swing)
    return Decimal(round(value / float(market.tick_size))) * market.tick_size


def candles(
    seed: int, market: Market, *, interval_ms: int, limit: int, now_ms: int
) -> tuple[Candle, ...]:
    """Return the newest `limit` candles, oldest first; the last candle is still open."""
    running_ms = now_ms - now_ms % interval_ms
    closed = (
        _closed_candle(seed, market, running_ms - back * interval_ms, interval_ms)
        for back in range(limit - 1, 0, -1)
    )
    return (*closed, _candle(seed, market, running_ms, interval_ms, now_ms))


def with_close(candle: Candle, price: Decimal) -> Candle:
    """Return the candle after a trade at another price."""
    return replace(candle, close=price, high=max(candle.high, price), low=min(candle.low, price))


@lru_cache(maxsize=16_384)
def _closed_candle(seed: int, market: Market, start_ms: int, interval_ms: int) -> Candle:
    return _candle(seed, market, start_ms, interval_ms, start_ms + interval_ms)


def _candle(seed: int, market: Market, start_ms: int, interval_ms: int, end_ms: int) -> Candle:
    grid = (
        start_ms + interval_ms * step // SAMPLES_PER_CANDLE for step in range(SAMPLES_PER_CANDLE)
    )
    moments = [moment for moment in grid if moment < end_ms] + [end_ms]
    path = [price_at(seed, market, moment) for moment in moments]
    busyness = 1.5 + _knot(seed, f"{market.name}/volume/{interval_ms}", start_ms)
    dollars = busyness * (end_ms - start_ms) * 20
    volume = Decimal(dollars / float(market.anchor_usd)).quantize(_CENT_OF_SIZE)
    return Candle(
        start_ms=start_ms,
        open=path[0],
        high=max(path),
        low=min(path),
        close=path[-1],
        volume=volume,
    )


def _wave(seed: int, name: str, at_ms: int, period_ms: int) -> float:
    cell, elapsed_ms = divmod(at_ms, period_ms)
    fraction = elapsed_ms / period_ms
    eased = fraction * fraction * (3 - 2 * fraction)
    before, after = _knot(seed, name, cell), _knot(seed, name, cell + 1)
    return before + (after - before) * eased


@lru_cache(maxsize=65_536)
def _knot(seed: int, name: str, cell: int) -> float:
    """Return a number between -1 and 1 that depends only on the arguments."""
    digest = blake2b(f"{seed}/{name}/{cell}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**63 - 1

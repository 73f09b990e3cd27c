"""Gaps of the simulated price: factors on the price of a market for a limited time.

A gap is a real price of the exchange: candles, marks and fills use it.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from purpleflea_sandbox.exchange.core.markets import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceGap:
    """The price times `factor`, from one time until another."""

    factor: Decimal
    from_ms: int
    until_ms: int


@dataclass(slots=True)
class PriceGaps:
    """The latest gap of each market."""

    by_market: dict[str, PriceGap] = field(default_factory=dict)

    def begin(self, market: str, gap: PriceGap) -> None:
        self.by_market[market] = gap

    def clear(self) -> None:
        self.by_market.clear()

    def applied(self, market: Market, price: Decimal, at_ms: int) -> Decimal:
        """Return the price of a market at a time, on its tick grid and at least one tick."""
        gap = self.by_market.get(market.name)
        if gap is None or not gap.from_ms <= at_ms < gap.until_ms:
            return price
        ticks = (price * gap.factor / market.tick_size).to_integral_value()
        return max(ticks, Decimal(1)) * market.tick_size

    def copy(self) -> "PriceGaps":
        return PriceGaps(dict(self.by_market))

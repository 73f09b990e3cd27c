"""The markets of the exchange with their price and size increments.

To add a market, add one entry here.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One instrument quoted in US dollars."""

    name: str
    anchor_usd: Decimal
    """Center of the simulated price."""
    tick_size: Decimal
    size_step: Decimal
    max_size: Decimal
    volatility_factor: float = 1.0
    """Factor on the amplitude of the simulated price."""

    def prices_on_grid(self, price: Decimal) -> bool:
        return price % self.tick_size == 0

    def sizes_on_grid(self, size: Decimal) -> bool:
        return size % self.size_step == 0

    def in_ticks(self, price: Decimal) -> int:
        """Return a price on the grid as an integer, so that the storage can sort by it."""
        return int(price / self.tick_size)


MARKETS = {
    market.name: market
    for market in (
        Market(
            name="BTC-USD",
            anchor_usd=Decimal(60_000),
            tick_size=Decimal("0.01"),
            size_step=Decimal("0.00001"),
            max_size=Decimal(1_000),
        ),
        Market(
            name="ETH-USD",
            anchor_usd=Decimal(3_000),
            tick_size=Decimal("0.01"),
            size_step=Decimal("0.0001"),
            max_size=Decimal(20_000),
            volatility_factor=1.2,
        ),
        Market(
            name="SOL-USD",
            anchor_usd=Decimal(150),
            tick_size=Decimal("0.001"),
            size_step=Decimal("0.001"),
            max_size=Decimal(400_000),
            volatility_factor=1.5,
        ),
    )
}

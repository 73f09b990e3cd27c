"""The course of a run: equity over time, trades and refusals, and the figures of the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from purpleflea_agent.paper.exchange import PaperExchange, Trade

MAX_POINTS = 20_000
"""When so many points are kept, every second one is dropped. The drawdown is exact in spite of that."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The account at one time, in seconds since the epoch."""

    at: float
    equity_usd: Decimal
    prices: dict[str, Decimal]


@dataclass(slots=True, kw_only=True)
class Drawdown:
    """Largest fall of the equity from an earlier peak."""

    peak_usd: Decimal
    largest_usd: Decimal = ZERO
    largest_pct: Decimal = ZERO

    def add(self, equity_usd: Decimal) -> None:
        """Count one more value of the equity."""
        self.peak_usd = max(self.peak_usd, equity_usd)
        fall = self.peak_usd - equity_usd
        if self.peak_usd > 0:
            self.largest_pct = max(self.largest_pct, fall / self.peak_usd * 100)
        self.largest_usd = max(self.largest_usd, fall)


@dataclass(slots=True, kw_only=True)
class History:
    """Everything that a view or a report shows."""

    exchange: PaperExchange
    points: list[Point] = field(default_factory=list)
    last: Point | None = None
    """The newest point."""
    drawdown: Drawdown = field(init=False)
    intervals: int = 0
    completed: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    problem_count: int = 0
    last_problem: str | None = None
    _stride: int = 1
    _seen: int = 0

    def __post_init__(self) -> None:
        """Start the drawdown at the deposit."""
        self.drawdown = Drawdown(peak_usd=self.exchange.deposit_usd)

    def add(self, at: float, prices: dict[str, Decimal]) -> None:
        """Record the account at present."""
        point = Point(at=at, equity_usd=self.exchange.equity_usd, prices=prices)
        self.drawdown.add(point.equity_usd)
        if self._seen % self._stride == 0:
            self.points.append(point)
        self._seen += 1
        if len(self.points) > MAX_POINTS:
            self.points = self.points[::2]
            self._stride *= 2
        self.last = point

    @property
    def trades(self) -> Sequence[Trade]:
        """All fills, oldest first."""
        return self.exchange.trades

    @property
    def net_pnl_usd(self) -> Decimal:
        """Profit net of all fees, with open positions at the last price."""
        equity = self.last.equity_usd if self.last else self.exchange.deposit_usd
        return equity - self.exchange.deposit_usd

    @property
    def net_pnl_pct(self) -> Decimal:
        """The same in percent of the deposit."""
        return self.net_pnl_usd / self.exchange.deposit_usd * 100

    @property
    def fees_usd(self) -> Decimal:
        """Fees of all fills."""
        return self.exchange.books.fees_usd

    @property
    def realized_pnl_usd(self) -> Decimal:
        """Profit of closed positions, before fees."""
        return sum((h.realized_pnl_usd for h in self.exchange.books.holdings.values()), ZERO)

    @property
    def unrealized_pnl_usd(self) -> Decimal:
        """Profit of open positions, before fees."""
        return self.net_pnl_usd + self.fees_usd - self.realized_pnl_usd

    @property
    def won(self) -> int:
        """Number of trades that closed a position, or a part of it, with a profit larger than their own fee."""
        return sum(1 for trade in self.trades if trade.realized_pnl_usd > trade.fill.fee_usd)

    @property
    def closing(self) -> int:
        """Number of trades that realized a profit or a loss."""
        return sum(1 for trade in self.trades if trade.realized_pnl_usd)

    def market_change_pct(self, market: str) -> Decimal | None:
        """Return the change of a market's price over the run, in percent; None without two prices."""
        first = next((p.prices[market] for p in self.points if market in p.prices), None)
        last = self.last.prices.get(market) if self.last else None
        return None if first is None or last is None else (last - first) / first * 100

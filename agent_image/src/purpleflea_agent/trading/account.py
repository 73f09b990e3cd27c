"""The account as the exchange reports it, and its metrics: profit, drawdown, positions, balances.

It keeps the last reports for the risk checks. The journal adds our own fills, because a report may be older than them,
and keeps the peak of the equity. It sends no orders.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from purpleflea_agent.exchange.port import Balance, Exchange, Portfolio
from purpleflea_agent.journal import Journal
from purpleflea_agent.journal.positions import Reconciliation, ReportedPosition
from purpleflea_agent.telemetry import logs, metrics, tracing
from purpleflea_agent.trading import position_discrepancies, risk
from purpleflea_contract import spans

FRESH_FOR_S = 2.0


class Account:
    """The account of one agent, over its markets."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        markets: Sequence[str],
        balance_threshold_usd: Decimal,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._markets = markets
        self._threshold = balance_threshold_usd
        self._monotonic = monotonic
        self._discrepancies = position_discrepancies.PositionDiscrepancies(monotonic=monotonic)
        self._refreshed_at: float | None = None
        self._fills = 0
        self._fills_at_refresh = 0
        self._is_low = False
        self._reconciliation = Reconciliation(positions={}, realized={})
        self.portfolio = Portfolio(positions=(), equity_usd=Decimal(0))
        self.balances: tuple[Balance, ...] = ()
        self.peak_equity_usd = Decimal(0)
        self.realized_pnl: dict[str, Decimal] = {}

    @property
    def is_known(self) -> bool:
        """True if the account was read since the start."""
        return self._refreshed_at is not None

    @property
    def since_refresh_s(self) -> float | None:
        """Seconds since the account was last read; None if it was never read."""
        return None if self._refreshed_at is None else self._monotonic() - self._refreshed_at

    @property
    def balance_usd(self) -> Decimal:
        """Balance of the wallet, in US dollars."""
        return sum((item.usd_value for item in self.balances), Decimal(0))

    @property
    def drawdown_pct(self) -> Decimal:
        """Fall of the equity from its peak, in percent."""
        return risk.drawdown_pct(self.portfolio.equity_usd, self.peak_equity_usd)

    @property
    def open_markets(self) -> frozenset[str]:
        """Markets with a position, by the report of the exchange or by our own fills."""
        reported = {item.market for item in self.portfolio.positions if item.size}
        tracked = self._reconciliation.positions.items()
        return frozenset(reported | {market for market, position in tracked if position.size})

    def safe_close_size(self, market: str) -> Decimal:
        """Return the signed size of a position that can be closed without opening another position."""
        tracked = self._reconciliation.positions.get(market)
        if tracked is None:
            return Decimal(0)
        return position_discrepancies.safe_close_size(self.portfolio.size_of(market), tracked.size)

    async def refresh(self) -> None:
        """Read balances and positions and record them."""
        fills = self._fills
        await asyncio.gather(self.refresh_balances(), self.refresh_portfolio())
        self._refreshed_at = self._monotonic()
        self._fills_at_refresh = fills

    def invalidate(self) -> None:
        """Mark the account as changed by a fill. A report that is being read at this moment is old too."""
        self._fills += 1

    async def ensure_fresh(self) -> None:
        """Refresh, unless that was done less than FRESH_FOR_S ago and no order was filled since."""
        at = self._refreshed_at
        is_old = at is None or self._monotonic() - at > FRESH_FOR_S
        if is_old or self._fills_at_refresh != self._fills:
            await self.refresh()

    async def refresh_balances(self) -> None:
        """Read the balances and record them."""
        with tracing.span(spans.WALLET_BALANCE_FETCH) as span:
            self.balances = await self._exchange.balances()
            span.set(balance_usd=self.balance_usd, **_by_currency(self.balances))
        for balance in self.balances:
            metrics.record_wallet_balance(balance.currency, balance.usd_value)
        is_low = self.balance_usd < self._threshold
        if is_low and not self._is_low:
            logs.log_balance_alert("USD", self.balance_usd, self._threshold)
        self._is_low = is_low

    async def refresh_portfolio(self) -> None:
        """Read the positions and record profit, open positions and drawdown."""
        self.portfolio = await self._exchange.portfolio()
        self.peak_equity_usd = await self._journal.update_peak_equity(self.portfolio.equity_usd)
        await self._reconcile()
        positions = {item.market: item for item in self.portfolio.positions}
        for market in self._markets:
            position = positions.get(market)
            is_open = position is not None and position.size != 0
            metrics.record_open_positions(market, int(is_open))
            unrealized = position.unrealized_pnl_usd if position else Decimal(0)
            realized = self.realized_pnl.get(market, Decimal(0))
            metrics.record_pnl(market, unrealized, realized=False)
            metrics.record_pnl(market, realized, realized=True)
        metrics.record_drawdown(self.drawdown_pct)

    async def _reconcile(self) -> None:
        reported = {market: ReportedPosition() for market in self._markets}
        for item in self.portfolio.positions:
            reported[item.market] = ReportedPosition(
                size=item.size, realized_pnl_usd=item.realized_pnl_usd
            )
        self._reconciliation = await self._journal.reconcile(reported)
        for market, tracked in self._reconciliation.positions.items():
            size = reported.get(market, ReportedPosition()).size
            is_trusted = self._discrepancies.exchange_is_trusted(
                market, reported=size, tracked=tracked
            )
            if is_trusted and await self._journal.accept_reported(market, size):
                self._reconciliation = await self._journal.reconcile(reported)
        reported_profit = {
            market: position.realized_pnl_usd
            for market, position in reported.items()
            if position.realized_pnl_usd is not None
        }
        self.realized_pnl = {**self._reconciliation.realized, **reported_profit}


def _by_currency(balances: Sequence[Balance]) -> dict[str, Decimal]:
    """Return the span tags of single balances. A currency whose name is not a valid tag is only in the sum."""
    tags = {f"balance_{item.currency}_usd": item.usd_value for item in balances}
    return {tag: value for tag, value in tags.items() if spans.WALLET_BALANCE_FETCH.takes(tag)}

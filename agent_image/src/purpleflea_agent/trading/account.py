"""What the agent owns, as the exchange says, and the metrics of it: profit, drawdown, positions, balances.

It keeps the last answers for the risk checks; the peak of the equity lives in the journal. It sends no orders.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.exchange.port import Balance, Exchange, Portfolio
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading import risk
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
        self._refreshed_at: float | None = None
        self._is_low = False
        self.portfolio = Portfolio(positions=(), equity_usd=Decimal(0))
        self.balances: tuple[Balance, ...] = ()
        self.peak_equity_usd = Decimal(0)
        self.realized_pnl: dict[str, Decimal] = {}

    @property
    def is_known(self) -> bool:
        """Whether the exchange has told about the account since the start."""
        return self._refreshed_at is not None

    @property
    def silent_s(self) -> float | None:
        """Seconds since the exchange last told about the account; None before it ever did."""
        return None if self._refreshed_at is None else self._monotonic() - self._refreshed_at

    @property
    def balance_usd(self) -> Decimal:
        """What the wallet holds, in US dollars."""
        return sum((item.usd_value for item in self.balances), Decimal(0))

    @property
    def drawdown_pct(self) -> Decimal:
        """How far the equity is below its peak, in percent."""
        return risk.drawdown_pct(self.portfolio.equity_usd, self.peak_equity_usd)

    @property
    def open_markets(self) -> frozenset[str]:
        """Markets with a position."""
        return frozenset(item.market for item in self.portfolio.positions if item.size)

    async def refresh(self) -> None:
        """Ask for everything and record it."""
        await asyncio.gather(self.refresh_balances(), self.refresh_portfolio())
        self._refreshed_at = self._monotonic()

    async def ensure_fresh(self) -> None:
        """Refresh, unless that was done a moment ago."""
        at = self._refreshed_at
        if at is None or self._monotonic() - at > FRESH_FOR_S:
            await self.refresh()

    async def refresh_balances(self) -> None:
        """Ask for the balances and record them."""
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
        """Ask for the positions and record profit, open positions and drawdown."""
        self.portfolio = await self._exchange.portfolio()
        self.peak_equity_usd = await self._journal.raise_peak(self.portfolio.equity_usd)
        positions = {item.market: item for item in self.portfolio.positions}
        self.realized_pnl = await self._journal.realized_pnl(
            {market: position.realized_pnl_usd for market, position in positions.items()}
        )
        for market in self._markets:
            position = positions.get(market)
            is_open = position is not None and position.size != 0
            metrics.record_open_positions(market, int(is_open))
            unrealized = position.unrealized_pnl_usd if position else Decimal(0)
            realized = self.realized_pnl.get(market, Decimal(0))
            metrics.record_pnl(market, unrealized, realized=False)
            metrics.record_pnl(market, realized, realized=True)
        metrics.record_drawdown(self.drawdown_pct)


def _by_currency(balances: Sequence[Balance]) -> dict[str, Decimal]:
    """The span's tags of single balances. What is no name of a currency is in the sum only."""
    named = {f"balance_{item.currency}_usd": item.usd_value for item in balances}
    return {tag: value for tag, value in named.items() if spans.WALLET_BALANCE_FETCH.takes(tag)}

"""What the agent owns, as the exchange says, and the metrics of it: profit, drawdown, positions, balances.

It keeps the last answers for the risk checks, with what the journal reckons beside them, as an answer may be older than
our last fills. The peak of the equity lives in the journal. It sends no orders.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.exchange.port import Balance, Exchange, Portfolio
from purpleflea_agent.journal import Journal
from purpleflea_agent.journal_markets import Reckoning, Told
from purpleflea_agent.trading import disputes, risk
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
        self._disputes = disputes.Disputes(monotonic=monotonic)
        self._refreshed_at: float | None = None
        self._changes = 0
        self._changes_seen = 0
        self._is_low = False
        self._reckoning = Reckoning(holdings={}, realized={})
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
        """Markets with a position, by the exchange's word or by our own fills."""
        told = {item.market for item in self.portfolio.positions if item.size}
        return frozenset(
            told | {name for name, held in self._reckoning.holdings.items() if held.size}
        )

    def closable(self, market: str) -> Decimal:
        """The signed size of a position that may be closed without opening another."""
        told, held = self.portfolio.size_of(market), self._reckoning.holdings.get(market)
        return disputes.closable(told, held.size) if held else Decimal(0)

    async def refresh(self) -> None:
        """Ask for everything and record it."""
        changes = self._changes
        await asyncio.gather(self.refresh_balances(), self.refresh_portfolio())
        self._refreshed_at = self._monotonic()
        self._changes_seen = changes

    def expire(self) -> None:
        """A fill has changed it: what is known, and what is being asked for at this moment, is fresh no more."""
        self._changes += 1

    async def ensure_fresh(self) -> None:
        """Refresh, unless that was done a moment ago and nothing was filled since."""
        at = self._refreshed_at
        is_old = at is None or self._monotonic() - at > FRESH_FOR_S
        if is_old or self._changes_seen != self._changes:
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
        await self._reckon()
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

    async def _reckon(self) -> None:
        told = {market: Told() for market in self._markets}
        for item in self.portfolio.positions:
            told[item.market] = Told(size=item.size, realized_pnl_usd=item.realized_pnl_usd)
        self._reckoning = await self._journal.reckon(told)
        for market, held in self._reckoning.holdings.items():
            size = told.get(market, Told()).size
            is_won = self._disputes.is_won(market, told=size, held=held)
            if is_won and await self._journal.adopt(market, size):
                self._reckoning = await self._journal.reckon(told)
        by_word = {
            market: word.realized_pnl_usd
            for market, word in told.items()
            if word.realized_pnl_usd is not None
        }
        self.realized_pnl = {**self._reckoning.realized, **by_word}


def _by_currency(balances: Sequence[Balance]) -> dict[str, Decimal]:
    """The span's tags of single balances. What is no name of a currency is in the sum only."""
    named = {f"balance_{item.currency}_usd": item.usd_value for item in balances}
    return {tag: value for tag, value in named.items() if spans.WALLET_BALANCE_FETCH.takes(tag)}

"""The account as the exchange reports it, and its metrics: profit, drawdown, positions, balances.

It keeps the last reports for the risk checks. The journal adds our own fills, because a report may be older than them,
and keeps the peak of the equity. It sends no orders.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from purpleflea_agent.exchange.diagnosis import Service, problem_of
from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.exchange.port import Balance, Exchange, Portfolio
from purpleflea_agent.journal import Journal
from purpleflea_agent.journal.positions import Reconciliation, ReportedPosition, UnreadableRows
from purpleflea_agent.trading import position_discrepancies, risk
from purpleflea_agent.trading.exposure import of_market, position_range
from purpleflea_agent.trading.first_reports import FirstReports
from purpleflea_agent.trading.market_data import price_problem
from purpleflea_contract import spans, tags
from purpleflea_sdk.telemetry import logs, metrics, tracing

FRESH_FOR_S = 2.0
MAX_MARKETS = 32
"""Markets with metrics, as the spec allows. It bounds the tags, whatever other markets the exchange reports."""
ALL_READ: tuple[list[str], list[str], bool, bool] = ([], [], True, False)

logger = logging.getLogger("purpleflea.account")


class Account:
    """The account of one agent, over its markets."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        markets: Sequence[str],
        balance_threshold_usd: Decimal,
        peak_reset_at: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self.markets = tuple(markets)
        """The markets of the spec."""
        self._threshold = balance_threshold_usd
        self._peak_reset_at = peak_reset_at
        self._monotonic = monotonic
        self._first_reports = FirstReports(monotonic=monotonic)
        self._is_confirmed = False
        self._discrepancies = position_discrepancies.PositionDiscrepancies(monotonic=monotonic)
        self._refreshed_at: float | None = None
        self._fills = 0
        self._fills_at_refresh = 0
        self._is_low = False
        self._unreadable = ALL_READ
        self._reconciliation = Reconciliation(positions={}, realized={})
        self.problem: str | None = None
        """Why the account could not be read at the last attempt, and the remedy; None if it was read."""
        self.portfolio = Portfolio(positions=(), equity_usd=Decimal(0))
        self.balances: tuple[Balance, ...] = ()
        self._last_values: dict[str, Decimal] = {}
        self._mark_prices: dict[str, Decimal] = {}
        self._former_markets: frozenset[str] = frozenset()
        self.mismatched_markets: frozenset[str] = frozenset()
        """Markets whose reported position differs from our own fills beyond fills in flight."""
        self.peak_equity_usd = Decimal(0)
        self.realized_pnl: dict[str, Decimal] = {}

    @property
    def is_known(self) -> bool:
        """True if the account was read since the start."""
        return self._refreshed_at is not None

    @property
    def is_confirmed(self) -> bool:
        """True if the journal has positions, or the first reports agreed for long enough to be adopted."""
        return self._is_confirmed

    @property
    def since_refresh_s(self) -> float | None:
        """Seconds since the account was last read; None if it was never read."""
        return None if self._refreshed_at is None else self._monotonic() - self._refreshed_at

    @property
    def balance_usd(self) -> Decimal:
        """Balance of the wallet, in US dollars. A balance that could not be read counts with its last known value."""
        return sum((item.usd_value for item in self.balances), Decimal(0))

    @property
    def known_balance_usd(self) -> Decimal:
        """The part of the balance that could be read."""
        return sum((item.usd_value for item in self.balances if item.is_known), Decimal(0))

    @property
    def main_currency(self) -> str:
        """Currency with the largest balance, as in the tag of its metric; an alert on the whole balance names it."""
        largest = max(self.balances, key=lambda item: (item.usd_value, item.currency), default=None)
        return tags.DEFAULT_CURRENCY if largest is None else largest.currency.lower()

    @property
    def fees_usd(self) -> Mapping[str, Decimal]:
        """Fees of all fills in the journal, by market. `realized_pnl` is before them."""
        return self._reconciliation.fees

    @property
    def unknown_markets(self) -> frozenset[str]:
        """Markets whose position could not be read."""
        return self._reconciliation.unknown

    @property
    def drawdown_pct(self) -> Decimal:
        """Fall of the equity from its peak, in percent."""
        return risk.drawdown_pct(self.portfolio.equity_usd, self.peak_equity_usd)

    @property
    def open_markets(self) -> frozenset[str]:
        """Markets with a position, by the report of the exchange or by our own fills."""
        reported = frozenset(item.market for item in self.portfolio.positions if item.size)
        tracked = self._reconciliation.positions.items()
        unvalued = {market for market, size in self.portfolio.unvalued.items() if size}
        held = {market for market, position in tracked if position.size}
        return reported | unvalued | held | self.unknown_markets

    def safe_close_size(self, market: str) -> Decimal:
        """Return the signed size of a position that can be closed without opening another position."""
        tracked = self._reconciliation.positions.get(market)
        if tracked is None or market in self.unknown_markets:
            return Decimal(0)
        return position_discrepancies.safe_close_size(self.portfolio.size_of(market), tracked.size)

    def possible_sizes(self, market: str) -> tuple[Decimal, ...]:
        """Return the signed sizes that a position may have: as reported, and by our own fills."""
        tracked = self._reconciliation.positions.get(market)
        own = () if tracked is None else (tracked.size,)
        is_reported = self.is_known and market not in self.unknown_markets
        return (*own, self.portfolio.size_of(market)) if is_reported else own

    def mark_price(self, market: str) -> Decimal | None:
        """Return the last reported mark price of a market with a position; None if there was none."""
        return self._mark_prices.get(market)

    async def refresh(self) -> None:
        """Read balances and positions and record them; `problem` describes a failure."""
        fills = self._fills
        failures = await asyncio.gather(
            self._naming("trading", self.refresh_portfolio()),
            self._naming("wallet", self.refresh_balances()),
        )
        # If both services fail, always the same one is reported, because the text becomes a condition.
        for problem, error in failures:
            if error is not None:
                self.problem = problem
                raise error
        self.problem = None
        self._refreshed_at = self._monotonic()
        self._fills_at_refresh = fills

    @staticmethod
    async def _naming(
        service: Service, work: Coroutine[None, None, None]
    ) -> tuple[str | None, ExchangeError | None]:
        """Do the work; return the description of an error of the exchange, and the error."""
        try:
            await work
        except ExchangeError as error:
            return problem_of(error, service), error
        return None, None

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
            self.balances = self._with_last_values(await self._exchange.balances())
            span.set(balance_usd=self.balance_usd, **_by_currency(self.balances))
        for balance in self.balances:
            if balance.is_known:
                metrics.record_wallet_balance(balance.currency, balance.usd_value)
        is_low = self.balance_usd < self._threshold
        if is_low and not self._is_low:
            logs.log_balance_alert(self.main_currency, self.balance_usd, self._threshold)
        self._is_low = is_low

    async def refresh_portfolio(self) -> None:
        """Read the positions and record profit, open positions and drawdown."""
        reported = await self._exchange.portfolio()
        if reported.equity_is_known:
            await self._reset_peak(reported.equity_usd)
            self.peak_equity_usd = await self._journal.update_peak_equity(reported.equity_usd)
        else:
            reported = replace(reported, equity_usd=self.portfolio.equity_usd)
        self.portfolio = reported
        await self._reconcile()
        self._keep_mark_prices()
        await self._find_mismatches()
        self._report_unreadable()
        self._record_positions()
        if self.portfolio.equity_is_known:
            metrics.record_drawdown(self.drawdown_pct)

    def _keep_mark_prices(self) -> None:
        self._mark_prices |= {
            item.market: item.mark_price
            for item in self.portfolio.positions
            if price_problem(item.mark_price) is None
        }
        is_open = self.open_markets
        self._mark_prices = {m: price for m, price in self._mark_prices.items() if m in is_open}

    def _record_positions(self) -> None:
        """Record profit and open positions, also of markets that were removed from the spec and still have one."""
        positions = {item.market: item for item in self.portfolio.positions}
        others = sorted(self.open_markets - set(self.markets))
        former = frozenset(others[: MAX_MARKETS - len(self.markets)])
        # A market that was closed since the last report gets one more point: a gauge keeps its last value.
        for market in (*self.markets, *sorted(former | self._former_markets)):
            if market in self.unknown_markets or market in self.portfolio.unvalued:
                continue  # no point is better than a wrong zero
            position = positions.get(market)
            is_open = position is not None and position.size != 0
            metrics.record_open_positions(market, int(is_open))
            unrealized = position.unrealized_pnl_usd if position else Decimal(0)
            realized = self.realized_pnl.get(market, Decimal(0))
            fees = self.fees_usd.get(market, Decimal(0))
            metrics.record_pnl(market, unrealized, realized=False)
            metrics.record_pnl(market, realized - fees, realized=True)
            metrics.record_fees(market, fees)
        self._former_markets = former
        metrics.record_position_mismatches(len(self.mismatched_markets))

    async def _reset_peak(self, equity_usd: Decimal) -> None:
        """Carry out a request of spec.risk.peakResetAt. The journal remembers it, so that it has an effect once."""
        if self._peak_reset_at is None:
            return
        former = await self._journal.reset_peak(self._peak_reset_at)
        if former is not None:
            logs.log_peak_reset(self._peak_reset_at, former, equity_usd)
        self._peak_reset_at = None

    async def _confirm(self) -> bool:
        """Return whether the reported positions may be adopted.

        An empty journal cannot show that a report is old: a position that was closed a moment ago would be closed
        again. So its first reports must agree over an interval.
        """
        if not self._is_confirmed and not await self._journal.has_positions():
            if not self._first_reports.agree(self.portfolio):
                return False
            await self._journal.confirm_positions()
        self._is_confirmed = True
        return True

    async def _reconcile(self) -> None:
        portfolio = self.portfolio
        if not await self._confirm():
            unconfirmed = frozenset(self.markets) | portfolio.reported_markets
            self._reconciliation = Reconciliation(positions={}, realized={}, unknown=unconfirmed)
            return
        missing = frozenset(self.markets) - portfolio.reported_markets - portfolio.unreadable
        unreadable = UnreadableRows(
            markets=portfolio.unreadable,
            unreported=missing if portfolio.has_nameless_rows else None,
        )
        reported = {
            market: ReportedPosition()
            for market in (() if portfolio.has_nameless_rows else sorted(missing))
        }
        reported |= {
            market: ReportedPosition(size=size) for market, size in portfolio.unvalued.items()
        }
        for item in portfolio.positions:
            reported[item.market] = ReportedPosition(
                size=portfolio.size_of(item.market), realized_pnl_usd=item.realized_pnl_usd
            )
        self._reconciliation = await self._journal.reconcile(reported, unreadable)
        for market, tracked in self._reconciliation.positions.items():
            if market in self._reconciliation.unknown:
                continue
            size = reported.get(market, ReportedPosition()).size
            is_trusted = self._discrepancies.exchange_is_trusted(
                market, reported=size, tracked=tracked
            )
            if is_trusted and await self._journal.accept_reported(market, size):
                self._reconciliation = await self._journal.reconcile(reported, unreadable)
        reported_profit = {
            market: position.realized_pnl_usd
            for market, position in reported.items()
            if position.realized_pnl_usd is not None
        }
        self.realized_pnl = {**self._reconciliation.realized, **reported_profit}

    async def _find_mismatches(self) -> None:
        """Compare the reports with our own fills, and log each mismatch when it begins and when it ends."""
        unfinished = await self._journal.unfinished()
        mismatched = {
            market: tracked.size
            for market, tracked in self._reconciliation.positions.items()
            if market not in self.unknown_markets
            and self._discrepancies.is_mismatch(
                market,
                reported=self.portfolio.size_of(market),
                tracked=tracked,
                open_orders=position_range((), of_market(market, unfinished)),
            )
        }
        # A market that cannot be read keeps its mismatch, because nothing shows that it has ended.
        kept = self.mismatched_markets & self.unknown_markets
        for market in sorted(mismatched.keys() - self.mismatched_markets):
            logs.log_position_mismatch(
                market, self.portfolio.size_of(market), mismatched[market], "started"
            )
        for market in sorted(self.mismatched_markets - mismatched.keys() - kept):
            size = self.portfolio.size_of(market)
            logs.log_position_mismatch(market, size, size, "ended")
        self.mismatched_markets = frozenset(mismatched) | kept

    def _with_last_values(self, balances: Sequence[Balance]) -> tuple[Balance, ...]:
        """Give a balance that could not be read its last known value. It stays unknown, and is not zero."""
        self._last_values |= {item.currency: item.usd_value for item in balances if item.is_known}
        return tuple(
            item
            if item.is_known
            else replace(item, usd_value=self._last_values.get(item.currency, Decimal(0)))
            for item in balances
        )

    def _report_unreadable(self) -> None:
        """Log rows of the positions that could not be read, once until they change."""
        if not self._is_confirmed:
            return
        unreadable = (
            sorted(self.unknown_markets),
            sorted(self.portfolio.unvalued),
            self.portfolio.equity_is_known,
            self.portfolio.has_nameless_rows,
        )
        if unreadable != self._unreadable:
            self._unreadable = unreadable
            if unreadable != ALL_READ:
                logger.warning(
                    "Part of the positions cannot be read; the markets concerned take no new orders",
                    extra={"markets": ", ".join(sorted({*unreadable[0], *unreadable[1]}))},
                )


def _by_currency(balances: Sequence[Balance]) -> dict[str, Decimal]:
    """Return the span tags of single balances. A currency whose name is not a valid tag is only in the sum."""
    values = {f"balance_{item.currency}_usd": item.usd_value for item in balances}
    return {tag: value for tag, value in values.items() if spans.WALLET_BALANCE_FETCH.takes(tag)}

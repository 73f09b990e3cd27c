"""The trading loop: once per interval read the account, then each market, and place an order if the signal requires it.

Only `stop` ends it: an error is logged, and the next interval runs. order_manager applies limits and sends orders;
order_reconciliation looks up their outcome.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.exchange.port import Exchange, OrderRequest
from purpleflea_agent.journal import JournalError
from purpleflea_agent.trading import sizing
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_agent.trading.faucet import FaucetClient
from purpleflea_agent.trading.interval_failures import failure_class
from purpleflea_agent.trading.market_data import (
    MARKET_DATA,
    PriceBounds,
    UnusableMarketData,
    candles_problem,
)
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_agent.trading.sizing import Sizing
from purpleflea_agent.trading.strategy_loading import Strategy
from purpleflea_agent.trading.strategy_runner import StrategyRunner
from purpleflea_contract import quantities, spans
from purpleflea_contract.settings import Settings
from purpleflea_sdk import pauses
from purpleflea_sdk.telemetry import logs, metrics, tracing
from purpleflea_sdk.telemetry.tracing import ActiveSpan

CANDLES = 50
MAX_SIGNAL = Decimal("1e12")
"""Largest signal, without its sign. A larger one is a defect of the strategy, and no arithmetic is exact with it."""
RETRY_INTERVAL = timedelta(seconds=1)
"""Interval until the exchange was reached once and its first reports are confirmed, so that trading starts soon."""
RETRY_LIMIT = timedelta(seconds=15)
"""Longest interval between two attempts to read an account that cannot be read, unless the trading interval is longer.
A wrong API key or address does not correct itself, and a service that is down must not be flooded."""
REPEAT_INTERVAL = timedelta(minutes=1)
"""Longest interval after an interval that failed before any order. It had no effect, so it can be repeated. Otherwise,
one lost connection would leave an agent with an interval of an hour without a heartbeat for an hour."""

logger = logging.getLogger("purpleflea.trading")


class TradingLoop:
    """Trades one strategy on its markets."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        settings: Settings,
        *,
        strategy: Strategy,
        exchange: Exchange,
        account: Account,
        orders: OrderManager,
        faucet: FaucetClient,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._strategy = StrategyRunner(strategy)
        self._exchange = exchange
        self._account = account
        self._orders = orders
        self._faucet = faucet
        self._monotonic = monotonic
        self._interval = quantities.duration(settings.trading.interval)
        self._now = now
        self._price_bounds = PriceBounds.of(settings.trading)
        self._stopping = asyncio.Event()
        self._is_running = False
        self._failures: set[str] = set()
        self._is_completed = False
        self._has_ordered = False
        self._sizing = Sizing(
            order_size=quantities.decimal(settings.trading.order_size),
            signal_threshold=quantities.decimal(settings.trading.signal_threshold),
            max_order_usd=quantities.decimal(settings.risk.max_order_usd),
            max_position_usd=sizing.max_position_usd(settings.risk),
            takes_profit=settings.trading.on_full_position == "TakeProfit",
        )

    @property
    def is_running(self) -> bool:
        """True if the loop runs; false before its start and after its end."""
        return self._is_running

    @property
    def is_stopping(self) -> bool:
        """True if `stop` was called."""
        return self._stopping.is_set()

    @property
    def problem(self) -> str | None:
        """Describe why no signal can be computed; None if it can."""
        return self._strategy.problem

    def stop(self) -> None:
        """Finish the current interval and start no other. Safe in a signal handler, which runs in the same thread."""
        self._stopping.set()

    async def run(self) -> None:
        """Trade until stopped."""
        self._is_running = True
        unread_in_a_row = 0
        try:
            while not self._stopping.is_set():
                started = self._monotonic()
                await self.trade_once()
                spent = timedelta(seconds=self._monotonic() - started)
                unread_in_a_row = 0 if self._account.problem is None else unread_in_a_row + 1
                await self._pause(self._period(unread_in_a_row) - spent)
        finally:
            self._is_running = False

    def _period(self, unread_in_a_row: int) -> timedelta:
        """Return the time between the starts of two intervals; it grows while the account cannot be read."""
        factor: int = 2 ** min(unread_in_a_row, 10)
        backoff = min(RETRY_INTERVAL * factor, RETRY_LIMIT)
        if not (self._account.is_known and self._account.is_confirmed):
            return backoff
        is_repeated = not (self._is_completed or self._has_ordered)
        interval = min(self._interval, REPEAT_INTERVAL) if is_repeated else self._interval
        return max(interval, backoff)

    async def trade_once(self) -> None:
        """Trade one interval over all markets; only a completed interval sends a heartbeat."""
        self._is_completed = self._has_ordered = False
        self._failures.clear()
        with tracing.span(spans.INTERVAL) as span:
            try:
                self._is_completed = await self._trade(span)
            except (ExchangeError, JournalError) as error:
                span.fail(error)
                logs.log_interval_failed(self._add_failure(error), error)
            except Exception as error:  # a defect must not end the agent
                span.fail(error)
                self._add_failure(error)
                logger.exception("Trading interval failed")
        for error_type in sorted(self._failures):
            metrics.record_interval_failure(error_type)
        if self._is_completed:
            metrics.record_heartbeat()
        else:
            metrics.report_dropped_telemetry()

    async def _trade(self, span: ActiveSpan) -> bool:
        """Trade all markets; False if it was interrupted, no market could be traded, or the positions are unconfirmed.

        A fault of one market never keeps another market from being traded.
        """
        await self._account.refresh()
        self._faucet.consider(self._account.balance_usd, self._account.main_currency)
        if not self._account.is_confirmed:
            return False
        skipped = 0
        for market in self._settings.markets:
            if self._stopping.is_set():
                return False
            try:
                await self._trade_market(market)
            except (ExchangeError, UnusableMarketData) as error:
                skipped += 1
                if isinstance(error, UnusableMarketData):
                    metrics.record_risk_refusal(MARKET_DATA)
                logs.log_market_skipped(market, self._add_failure(error), error)
            except JournalError:
                raise  # concerns every market
            except Exception as error:  # a defect in a strategy concerns its market only
                skipped += 1
                span.fail(error)
                error_type = self._add_failure(error, in_market=True)
                logger.exception(
                    "Trading interval failed", extra={"market": market, "error_type": error_type}
                )
        return skipped < len(self._settings.markets)

    def _add_failure(self, error: Exception, *, in_market: bool = False) -> str:
        """Remember the class of a failure in this interval, and return it."""
        error_type = failure_class(error, in_market=in_market)
        self._failures.add(error_type)
        return error_type

    async def _trade_market(self, market: str) -> None:
        trading = self._settings.trading
        candles = await self._exchange.candles(market, interval=trading.interval, limit=CANDLES)
        closes = candles.closes
        if not closes:
            return
        problem = candles_problem(
            candles, self._price_bounds, interval=self._interval, now=self._now()
        )
        if problem is not None:
            raise UnusableMarketData(problem)
        signal = await self._signal(market, list(closes))
        if signal is None:
            return
        step = sizing.next_step(
            signal,
            position=(await self._orders.position_range(market)).toward(sizing.side_of(signal)),
            price=closes[-1],
            sizing=self._sizing,
        )
        if step is not None:
            request = OrderRequest(
                idempotency_key=str(uuid.uuid4()), market=market, side=step.side, size=step.size
            )
            self._has_ordered = True
            # The order manager counts and logs errors of an order.
            with contextlib.suppress(OrderRefused, OrderUnsettled, ExchangeError):
                await self._orders.place(request, reference_price=closes[-1])

    async def _signal(self, market: str, closes: list[Decimal]) -> Decimal | None:
        with tracing.span(spans.SIGNAL_COMPUTE, market=market, price_count=len(closes)) as span:
            started = time.perf_counter()
            signal = await self._strategy.signal(closes, self._stopping)
            took_s = time.perf_counter() - started
            if signal is None:
                return None
            if not signal.is_finite():
                raise UnusableMarketData(f"the signal {signal} of the strategy is not a number")
            if abs(signal) > MAX_SIGNAL:
                raise UnusableMarketData(
                    f"the signal {signal:.3e} of the strategy is not a fraction of the price"
                )
            span.set(signal_value=round(signal, 6))
        metrics.record_signal_compute_time(took_s, self._settings.trading.model_version)
        logs.log_signal_generated(market, signal, self._settings.strategy)
        return signal

    async def _pause(self, duration: timedelta) -> None:
        """Wait for the next interval. This task sends the heartbeats meanwhile, so none hides a loop that is stuck."""
        sign_of_life = metrics.record_idle_heartbeat if self._is_completed else None
        await pauses.pause(self._stopping, duration.total_seconds(), sign_of_life)

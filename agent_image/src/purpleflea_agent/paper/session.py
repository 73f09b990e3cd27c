"""One run with paper money: the agent of production around a paper exchange, and the record of what it did."""

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from purpleflea_agent import application
from purpleflea_agent.application import Application
from purpleflea_agent.paper import candles
from purpleflea_agent.paper.clock import ReplayClock
from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.paper.exchange import PaperExchange
from purpleflea_agent.paper.history import History
from purpleflea_agent.paper.options import Options
from purpleflea_agent.paper.prices import Prices, ReplayedPrices, SimulatedPrices
from purpleflea_contract import environment as names
from purpleflea_contract import metrics as contract
from purpleflea_contract.metrics import Metric
from purpleflea_sdk.settings import Environment
from purpleflea_sdk.telemetry import logs, metrics, tracing
from purpleflea_sdk.telemetry.dogstatsd import Emitter, Value
from purpleflea_sdk.telemetry.guard import text_of

AGENT_ID = "paper"
RUNS = Path("runs")
REFRESH_S = 0.5
"""Time between two updates of a live view."""

Update = Callable[[History], None]
"""Shows the state of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run that is ready to start."""

    options: Options
    folder: Path
    agent: Application
    prices: Prices
    history: History
    candles: Mapping[str, candles.Candles]
    clock: ReplayClock | None
    """The clock of a replay; None if the time is real."""
    log: TextIO

    async def run(self, update: Update, stopping: asyncio.Event) -> None:
        """Trade until the end of the candles or of the duration, or until `stopping` is set."""
        # Reports of an exchange in this process are never old.
        await self.agent.journal.confirm_positions()
        try:
            if self.clock is None:
                await self._trade_live(update, stopping)
            else:
                await self._replay(self.clock, update, stopping)
        finally:
            self.log.close()

    async def _replay(self, clock: ReplayClock, update: Update, stopping: asyncio.Event) -> None:
        times = sorted(set(itertools.chain.from_iterable(c.times for c in self.candles.values())))
        shown = 0.0
        for at in times:
            if stopping.is_set():
                break
            clock.now = at
            await self.agent.loop.trade_once()
            self.observe(at)
            if time.monotonic() - shown > REFRESH_S:
                shown = time.monotonic()
                update(self.history)
                await asyncio.sleep(0)  # lets a signal stop the run
        await self.agent.journal.close()

    async def _trade_live(self, update: Update, stopping: asyncio.Event) -> None:
        running = asyncio.create_task(self.agent.run(asyncio.Event()), name="agent")
        ends = math.inf if self.options.duration_s is None else self.options.duration_s
        started = time.monotonic()
        while not stopping.is_set() and not running.done():
            left_s = ends - (time.monotonic() - started)
            if left_s <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(REFRESH_S, left_s)):
                    await stopping.wait()
            self.observe(time.time())
            update(self.history)
        self.agent.end()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        self.observe(time.time())

    def observe(self, at: float) -> None:
        """Record the account at present."""
        prices = {market: self.prices.price(market) for market in self.options.settings.markets}
        self.history.add(at, {market: price for market, price in prices.items() if price})


class _RunMetrics(Emitter):
    """Sends no metrics; counts what the report shows."""

    def __init__(self, history: History) -> None:
        super().__init__(None)
        self._history = history

    def send(self, metric: Metric, value: Value = 1, /, **tag_values: str) -> None:
        """Count a point."""
        super().send(metric, value, **tag_values)
        if metric is contract.RISK_REFUSALS:
            self._history.refusals[tag_values["reason"]] += 1
        elif metric is contract.HEARTBEAT:
            self._history.completed += 1

    def report_drops(self) -> None:
        """Count an interval, whether completed or not; nothing is sent, so nothing is dropped."""
        self._history.intervals += 1


class _Problems(logging.Handler):
    """Counts warnings and errors, because a view hides the log."""

    def __init__(self, history: History) -> None:
        super().__init__(logging.WARNING)
        self._history = history

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record, and keep its text."""
        detail = getattr(record, "error.message", None)
        if record.exc_info and record.exc_info[1] is not None:
            detail = f"{type(record.exc_info[1]).__name__}: {text_of(record.exc_info[1])}"
        text = record.getMessage()
        self._history.problem_count += 1
        self._history.last_problem = f"{text}: {detail}" if detail else text


def prepare(options: Options) -> Session:
    """Create the folder and all parts of a run.

    Raises:
        PaperError: The folder cannot be used, or the candles cannot.
        JournalError: The journal cannot be created.
    """
    recorded, clock = _candles(options)
    folder = _new_folder(options.folder)
    now: Callable[[], float] = clock or time.time
    prices: Prices = (
        ReplayedPrices(recorded, clock=clock)
        if clock
        else SimulatedPrices(seed=options.seed, monotonic=time.monotonic)
    )
    exchange = PaperExchange(prices, deposit_usd=options.deposit_usd, clock=now)
    history = History(exchange=exchange)
    environment = _environment(folder, options)
    log = _configure(environment, history, is_replay=clock is not None)
    agent = application.build(
        environment,
        options.settings,
        strategy=options.strategy,
        exchange=exchange,
        clock=now,
        monotonic=clock or time.monotonic,
        is_durable=clock is None,
    )
    return Session(
        options=options,
        folder=folder,
        agent=agent,
        prices=prices,
        history=history,
        candles=recorded,
        clock=clock,
        log=log,
    )


def _candles(options: Options) -> tuple[Mapping[str, candles.Candles], ReplayClock | None]:
    if options.replay is None:
        return {}, None
    markets = options.settings.markets
    recorded = candles.read(options.replay, markets[0])
    missing = [market for market in markets if market not in recorded]
    if missing:
        raise PaperError(
            f"{options.replay.name} has no candle of {missing[0]}: give --market, one of"
            f" {', '.join(sorted(recorded))}"
        )
    traded = {market: recorded[market] for market in markets}
    return traded, ReplayClock(min(item.times[0] for item in traded.values()))


def _new_folder(wanted: Path | None) -> Path:
    folder = wanted or RUNS / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    for number in itertools.count(2):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if wanted is not None:
                raise PaperError(
                    f"the folder {wanted} exists: give a new one with --folder"
                ) from None
            folder = folder.with_name(f"{folder.name.partition('.')[0]}.{number}")
        except OSError as error:
            raise PaperError(
                f"the folder {folder} cannot be created ({error.strerror}): give another one with --folder"
            ) from error
        else:
            return folder
    raise AssertionError  # the count never ends


def _environment(folder: Path, options: Options) -> Environment:
    text = options.settings.model_dump_json(by_alias=True, indent=2)
    (folder / names.SETTINGS_FILE).write_text(f"{text}\n", encoding="utf-8")
    # Given here, so that an environment variable of this machine never sends paper profit to Datadog.
    return Environment.model_validate(
        {names.AGENT_ID: AGENT_ID, names.CONFIG_DIR: folder, names.STATE_DIR: folder}
    )


def _configure(environment: Environment, history: History, *, is_replay: bool) -> TextIO:
    log = (environment.state_dir / "agent.log").open("w", encoding="utf-8")
    logs.configure(environment, log)
    root = logging.getLogger()
    root.addHandler(_Problems(history))
    if is_replay:  # the lines of each interval would cost more time than the interval
        root.setLevel(logging.WARNING)
    metrics.install(_RunMetrics(history))
    tracing.disable(environment)
    return log

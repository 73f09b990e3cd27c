"""Agents whose interval is longer than the window of the heartbeat monitor: they never alert, and their end does."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from purpleflea_agent.exchange.errors import NeverSent
from purpleflea_agent.exchange.port import Candles, OrderRequest
from purpleflea_agent.journal import JournalError
from purpleflea_agent.trading.exposure import PositionRange
from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_agent.trading.strategy_runner import StrategyRunner
from purpleflea_contract import metrics
from purpleflea_contract.settings import Settings
from purpleflea_sdk import pauses
from purpleflea_sdk.serving import Agent
from purpleflea_sdk.settings import Environment
from purpleflea_sdk.telemetry import metrics as recorded
from support.chaos.virtual_time import VirtualLoop

HOUR = 3600
MINUTE = 60
SHORTEST_WINDOW = MINUTE
WINDOW = 5 * MINUTE
RISING = tuple(Decimal(100 + step) for step in range(50))


@dataclass
class Fleet:
    """One agent in virtual time: account, exchange, orders and faucet of its loop, and the times of its heartbeats."""

    clock: VirtualLoop
    beats: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    placed: list[float] = field(default_factory=list)
    failing: list[Exception | None] = field(default_factory=list)
    """Errors of the intervals from the second one on."""
    place_fails: bool = False
    hangs_from: float = float("inf")
    is_known: bool = True
    is_confirmed: bool = True
    balance_usd: Decimal = Decimal(1000)
    main_currency: str = "usdc"
    problem: str | None = None

    @property
    def now(self) -> float:
        return round(self.clock.now - 1_000, 1)

    async def refresh(self) -> None:
        self.intervals.append(self.now)
        if self.now >= self.hangs_from:
            await asyncio.Event().wait()

    def consider(self, balance: Decimal, currency: str) -> None:
        return

    async def candles(self, market: str, *, interval: str, limit: int) -> Candles:
        if len(self.intervals) > 1 and self.failing and (error := self.failing.pop(0)):
            raise error
        return Candles(closes=RISING, newest_at=None)

    async def position_range(self, market: str) -> PositionRange:
        return PositionRange()

    async def place(self, request: OrderRequest, *, reference_price: Decimal) -> None:
        self.placed.append(self.now)
        if self.place_fails:
            raise JournalError("the volume is full")

    def send(self, metric: metrics.Metric, value: float = 1, /, **tags: str) -> None:
        if metric is metrics.HEARTBEAT:
            self.beats.append(self.now)

    def report_drops(self) -> None:
        return

    def silences(self, until: float) -> list[tuple[float, float]]:
        """Return the spans without a heartbeat that a window of a minute would find."""
        times = [0.0, *self.beats, until]
        return [(a, b) for a, b in pairwise(times) if b - a > SHORTEST_WINDOW]


async def at_once(
    runner: StrategyRunner, closes: Sequence[Decimal], _: asyncio.Event
) -> Decimal | None:
    """Run the strategy in the thread of the loop, because virtual time would pass meanwhile."""
    return Decimal(runner._strategy(closes))


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    clock = VirtualLoop()
    fleet = Fleet(clock)
    monkeypatch.setattr(recorded, "emitter", lambda: fleet)
    monkeypatch.setattr(StrategyRunner, "signal", at_once)
    yield fleet
    clock.close()


def run(
    agent: Fleet,
    seconds: float,
    *,
    interval: str = "1h",
    strategy: Callable[[Sequence[Decimal]], Any] = lambda _: Decimal("0.01"),
    stop: bool = False,
) -> None:
    parts: Any = agent
    settings = Settings.model_validate(
        {"strategy": "momentum", "markets": ["BTC-USD"], "trading": {"interval": interval}}
    )
    loop = TradingLoop(
        settings,
        strategy=strategy,
        exchange=parts,
        account=parts,
        orders=parts,
        faucet=parts,
        monotonic=lambda: agent.clock.now,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )

    async def main() -> None:
        task = asyncio.ensure_future(loop.run())
        await asyncio.sleep(seconds)
        if stop:
            loop.stop()
        else:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    agent.clock.run_until_complete(main())


@pytest.mark.parametrize(
    "interval", ["1s", "15s", "19s", "20s", "21s", "1m", "150s", "5m", "59m", "1h"]
)
def test_an_agent_that_waits_is_never_silent_for_the_shortest_window(
    agent: Fleet, interval: str
) -> None:
    run(agent, 2 * HOUR + 10, interval=interval)
    assert agent.silences(2 * HOUR) == []


@pytest.mark.parametrize(("interval", "beats"), [("1s", 60), ("15s", 4), ("20s", 3), ("1m", 3)])
def test_intervals_below_the_period_send_only_their_own_heartbeat(
    agent: Fleet, interval: str, beats: int
) -> None:
    run(agent, MINUTE - 0.5, interval=interval)
    assert len(agent.beats) == beats


def test_the_interval_keeps_its_length(agent: Fleet) -> None:
    run(agent, 3 * HOUR + 10)
    assert agent.intervals == [0, HOUR, 2 * HOUR, 3 * HOUR]
    assert len(agent.placed) == 4


def test_an_agent_that_dies_while_it_waits_is_silent_at_once(agent: Fleet) -> None:
    run(agent, 1000)
    assert agent.beats[-1] == 980


@pytest.mark.parametrize("stop", [True, False])
def test_an_agent_that_stops_sends_no_more(agent: Fleet, stop: bool) -> None:
    run(agent, 1000, stop=stop)
    assert len(agent.beats) == 50


def test_an_interval_that_is_stuck_sends_no_heartbeat(agent: Fleet) -> None:
    agent.hangs_from = HOUR
    run(agent, 2 * HOUR)
    assert agent.beats[-1] == HOUR - 20


def test_an_interval_that_failed_sends_none_until_one_is_completed(agent: Fleet) -> None:
    agent.failing = [NeverSent("x")] * 30
    run(agent, 2 * HOUR)
    assert agent.silences(2 * HOUR) == [(HOUR - 20, HOUR + 30 * MINUTE)]


def test_one_failed_interval_is_repeated_before_the_window_of_the_monitor_ends(
    agent: Fleet,
) -> None:
    agent.failing = [NeverSent("x")]
    run(agent, 2 * HOUR)
    assert agent.intervals[:3] == [0, HOUR, HOUR + MINUTE]
    assert all(b - a < WINDOW for a, b in agent.silences(2 * HOUR))


@pytest.mark.parametrize("interval", ["1s", "15s", "1m"])
def test_a_failed_interval_is_not_repeated_sooner_than_the_interval(
    agent: Fleet, interval: str
) -> None:
    agent.failing = [NeverSent("x")] * 3
    run(agent, 4 * MINUTE, interval=interval)
    lengths = {round(b - a) for a, b in pairwise(agent.intervals)}
    assert lengths == {{"1s": 1, "15s": 15, "1m": 60}[interval]}


def test_an_interval_that_failed_after_an_order_is_not_repeated(agent: Fleet) -> None:
    """A repetition would send the next order an hour too soon."""
    agent.place_fails = True
    run(agent, HOUR + 10)
    assert agent.placed == [0, HOUR]
    assert agent.beats == []


def test_a_strategy_that_fails_is_repeated_and_sends_none(agent: Fleet) -> None:
    run(agent, HOUR + 10, strategy=lambda _: 1 / 0)
    assert agent.intervals[:3] == [0, MINUTE, 2 * MINUTE]
    assert agent.beats == []


@pytest.mark.parametrize(("heartbeats", "count"), [(True, 9), (False, 0)])
def test_a_custom_agent_sends_them_if_it_asks_for_them(
    agent: Fleet, heartbeats: bool, count: int
) -> None:
    custom = Agent(Environment())
    agent.clock.run_until_complete(custom.sleep(200, heartbeats=heartbeats))
    assert agent.now == 200
    assert len(agent.beats) == count


@pytest.mark.parametrize("seconds", [0, -5, float("nan")])
def test_a_pause_of_no_length_ends_at_once(agent: Fleet, seconds: float) -> None:
    agent.clock.run_until_complete(pauses.pause(asyncio.Event(), seconds, agent.report_drops))
    pauses.pause_thread(threading.Event(), seconds, agent.report_drops)
    assert agent.now == 0


def test_a_thread_sends_them_too_and_ends_at_once(
    agent: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "HEARTBEAT_PERIOD_S", 0.01)
    stopping = threading.Event()

    def stop_after_three() -> None:
        agent.beats.append(0)
        if len(agent.beats) == 3:
            stopping.set()

    pauses.pause_thread(stopping, HOUR, stop_after_three)
    assert len(agent.beats) == 3

"""Strategies that are slow, never return or end the process: the event loop, other markets and the exit go on."""

import asyncio
import decimal
import threading
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from purpleflea_agent.trading.strategy_runner import (
    StrategyFailed,
    StrategyRunner,
    StrategyTimeout,
)
from support.waiting import wait_for

TIMEOUT_S = 0.1
LONG_S = 30.0
CLOSES = [Decimal(1)]


class Blocking:
    """A strategy that returns when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.returned = threading.Event()
        self.calls = 0

    def __call__(self, closes: Sequence[Decimal]) -> Decimal:
        self.calls += 1
        self.released.wait(LONG_S)
        self.returned.set()
        return Decimal(self.calls)


@pytest.fixture
def strategy() -> Iterator[Blocking]:
    blocking = Blocking()
    yield blocking
    blocking.released.set()


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


async def test_a_strategy_that_does_not_return_is_abandoned_and_not_called_again(
    strategy: Blocking, stopping: asyncio.Event
) -> None:
    runner = StrategyRunner(strategy, timeout_s=TIMEOUT_S)
    assert runner.problem is None
    with pytest.raises(StrategyTimeout, match=r"did not return within 0\.1 s"):
        await runner.signal(CLOSES, stopping)
    assert runner.problem is not None
    for _ in range(3):
        with pytest.raises(StrategyTimeout, match="an earlier call"):
            await runner.signal(CLOSES, stopping)
    assert strategy.calls == 1


async def test_a_strategy_that_returns_late_is_used_again_and_its_late_signal_is_not(
    strategy: Blocking, stopping: asyncio.Event
) -> None:
    runner = StrategyRunner(strategy, timeout_s=TIMEOUT_S)
    with pytest.raises(StrategyTimeout):
        await runner.signal(CLOSES, stopping)
    strategy.released.set()
    await asyncio.to_thread(wait_for, lambda: runner.problem is None, what="the late return")
    assert strategy.returned.is_set()
    again = StrategyRunner(strategy, timeout_s=LONG_S)
    assert await again.signal(CLOSES, stopping) == 2
    runner._timeout_s = LONG_S
    assert await runner.signal(CLOSES, stopping) == 3


async def test_the_event_loop_runs_while_a_strategy_computes(stopping: asyncio.Event) -> None:
    released = threading.Event()

    def busy(_: Sequence[Decimal]) -> Decimal:
        while not released.is_set():
            pass
        return Decimal(7)

    signal = asyncio.create_task(
        StrategyRunner(busy, timeout_s=LONG_S).signal(CLOSES, stopping), name="signal"
    )
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert not signal.done()
    released.set()
    assert await signal == 7


async def test_a_stop_does_not_wait_for_the_strategy(
    strategy: Blocking, stopping: asyncio.Event
) -> None:
    runner = StrategyRunner(strategy, timeout_s=LONG_S)
    signal = asyncio.create_task(runner.signal(CLOSES, stopping), name="signal")
    await asyncio.sleep(0)
    stopping.set()
    started = time.monotonic()
    assert await signal is None
    assert time.monotonic() - started < LONG_S / 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no"), ValueError),
        (StopIteration(), StrategyFailed),
        (asyncio.CancelledError(), StrategyFailed),
        (SystemExit(3), StrategyFailed),
        (KeyboardInterrupt(), StrategyFailed),
        (GeneratorExit(), StrategyFailed),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_an_error_of_the_strategy_reaches_the_interval_and_ends_nothing(
    stopping: asyncio.Event, error: BaseException, expected: type[Exception]
) -> None:
    errors = [error]

    def failing(_: Sequence[Decimal]) -> Decimal:
        if errors:
            raise errors.pop()
        return Decimal(1)

    runner = StrategyRunner(failing, timeout_s=LONG_S)
    with pytest.raises(expected):
        await runner.signal(CLOSES, stopping)
    assert runner.problem is None
    assert await runner.signal(CLOSES, stopping) == 1


class Unprintable(BaseException):
    def __str__(self) -> str:
        raise ValueError("no text")


class Float32:
    """A number of numpy: no subclass of float, and not accepted by Decimal."""

    def __float__(self) -> float:
        return 0.5


@pytest.mark.parametrize(
    "result", [None, "much", [1], (0, (1,), 0), 1j, b"1", object, Unprintable()], ids=repr
)
async def test_a_result_that_is_not_a_number_is_an_error_with_its_type_and_the_remedy(
    stopping: asyncio.Event, result: object
) -> None:
    runner = StrategyRunner(lambda _: result, timeout_s=LONG_S)  # type: ignore[arg-type,return-value] # on purpose
    message = rf"the strategy returned .* \({type(result).__name__}\): return a number"
    with pytest.raises(TypeError, match=message):
        await runner.signal(CLOSES, stopping)


@pytest.mark.parametrize("result", [1, 0.5, True, Decimal("0.25"), "0.125", Float32()])
async def test_a_result_of_any_numeric_type_becomes_a_decimal(
    stopping: asyncio.Event, result: Any
) -> None:
    runner = StrategyRunner(lambda _: result, timeout_s=LONG_S)
    signal = await runner.signal(CLOSES, stopping)
    assert isinstance(signal, Decimal)
    assert signal == Decimal(float(result))


async def test_an_error_without_a_text_does_not_end_the_thread(stopping: asyncio.Event) -> None:
    def strategy(_: Sequence[Decimal]) -> Decimal:
        raise Unprintable

    runner = StrategyRunner(strategy)
    for _ in range(2):
        with pytest.raises(StrategyFailed, match="Unprintable"):
            await runner.signal(CLOSES, stopping)


async def test_a_strategy_changes_no_precision_but_its_own(stopping: asyncio.Event) -> None:
    def strategy(_: Sequence[Decimal]) -> Decimal:
        decimal.getcontext().prec = 3
        return Decimal(1) / 3

    before = Decimal(1) / 3
    assert await StrategyRunner(strategy).signal(CLOSES, stopping) == Decimal("0.333")
    assert Decimal(1) / 3 == before

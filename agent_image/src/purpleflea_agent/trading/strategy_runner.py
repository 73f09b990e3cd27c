"""Calls of the strategy in a thread, so that code of a user stalls no event loop, no halt and no probe.

Only a call that holds the interpreter lock for long, such as a regular expression that backtracks, delays them.

Python cannot end a thread. A call that takes too long is abandoned, and its result is discarded. Meanwhile the strategy
is not called again, because a second call could meet state that the first one has left half changed.
"""

import asyncio
import contextlib
import contextvars
import decimal
import queue
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from purpleflea_agent.trading.strategy_loading import Strategy
from purpleflea_sdk.telemetry.guard import text_of

MAX_SHOWN = 60
"""Length of the text of a wrong result in its error."""
TIMEOUT_S = 10.0
"""Longest wait for a signal. The price that the signal is computed from becomes older by the same time."""


class StrategyTimeout(Exception):  # noqa: N818 - the name states the meaning
    """The strategy did not return in time, or an earlier call has not returned yet."""


class StrategyFailed(Exception):  # noqa: N818 - the name states the meaning
    """The strategy raised an exception that would end a process or a loop, such as SystemExit or StopIteration."""


class StrategyRunner:
    """Calls one strategy, one call at a time."""

    def __init__(self, strategy: Strategy, *, timeout_s: float = TIMEOUT_S) -> None:
        self._strategy = strategy
        self._timeout_s = timeout_s
        self._calls: queue.SimpleQueue[Callable[[], None]] | None = None
        self._started: float | None = None

    @property
    def problem(self) -> str | None:
        """Describe a call that was abandoned and has not returned; None if there is none."""
        started = self._started
        if started is None or time.monotonic() - started < self._timeout_s:
            return None
        return f"the strategy did not return within {self._timeout_s:g} s: correct its code, or restart the agent"

    async def signal(self, closes: Sequence[Decimal], stopping: asyncio.Event) -> Decimal | None:
        """Return the signal for closing prices; None if `stopping` was set before the strategy returned.

        Raises:
            StrategyTimeout: The call, or an earlier one, has not returned in time.
            StrategyFailed: The strategy tried to end the process.
            Exception: The strategy raised it, or its result is not a number.
        """
        if self._started is not None:
            raise StrategyTimeout("an earlier call of the strategy has not returned")
        result = self._start(closes)
        stopped = asyncio.create_task(stopping.wait(), name="strategy-stop")
        waited: set[asyncio.Future[Decimal] | asyncio.Task[bool]] = {result, stopped}
        try:
            await asyncio.wait(waited, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if not result.done():
            result.cancel()
            if stopping.is_set():
                return None
            raise StrategyTimeout(f"the strategy did not return within {self._timeout_s:g} s")
        return result.result()

    def _start(self, closes: Sequence[Decimal]) -> asyncio.Future[Decimal]:
        """Pass a call to the thread; the result arrives in the loop, unless it was canceled."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Decimal] = loop.create_future()
        # The spans and log lines of the strategy belong to the trace of the interval.
        context = contextvars.copy_context()
        # A copy refers to the same precision and traps, with which limits and positions are computed.
        context.run(_use_own_arithmetic)

        def call() -> None:
            signal, error = Decimal(0), None
            try:
                # Here, because a value may be computed when it becomes a number.
                signal = _number(context.run(self._strategy, closes))
            except BaseException as raised:  # code of the user may raise anything
                is_usual = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
                text = f"the strategy raised {type(raised).__name__}: {text_of(raised)}"
                error = raised if is_usual else StrategyFailed(text)
            self._started = None
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_settle, result, signal, error)

        calls = self._queue()
        self._started = time.monotonic()
        calls.put(call)
        return result

    def _queue(self) -> queue.SimpleQueue[Callable[[], None]]:
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            # Not an executor, because the interpreter waits for the threads of executors at its end.
            threading.Thread(target=_run, args=(self._calls,), name="strategy", daemon=True).start()
        return self._calls


def _number(value: Any) -> Decimal:
    """Convert what the strategy returned; a number of numpy is one too.

    Raises:
        TypeError: It is not a number; the text has the value.
    """
    try:
        if isinstance(value, Decimal | int | float | str):
            return Decimal(value)
        return Decimal(value.__float__())  # not float(value), because that accepts bytes
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        shown = f"{text_of(value)[:MAX_SHOWN]!r} ({type(value).__name__})"
    raise TypeError(f"the strategy returned {shown}: return a number, such as 0.02")


def _use_own_arithmetic() -> None:
    decimal.setcontext(decimal.getcontext().copy())


def _run(calls: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        calls.get()()


def _settle(result: asyncio.Future[Decimal], signal: Decimal, error: BaseException | None) -> None:
    if result.cancelled():
        return
    if error is None:
        result.set_result(signal)
    else:
        result.set_exception(error)

"""Virtual time: a clock that a loop advances when it is idle, so a wait of minutes takes no time.

`install` has to be called before the operator is imported, because parts of it have `time.monotonic` as a default.
"""

import asyncio
import contextlib
import selectors
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FIRST_S = 1000.0
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SETTLE_S = 0.0005
"""Real time that the loop waits for bytes on loopback before it is idle."""
STEP_S = 1e-6
"""Time of one step of the loop. Without it, a task that waits for the rest of a delay, of less than the resolution of
a float, would wait without an end."""
LONGEST_IDLE_S = 30.0
"""Real time without a timer, an event or a thread after which the simulation is stuck."""
LONGEST_VIRTUAL_S = 3600.0
"""Time after which a simulation is stopped."""
MOST_STEPS = 3_000
"""Steps of the loop within one second. Usual cells make 400, and a task that never waits makes 1,000,000."""
LONGEST_CPU_S = 60.0
"""CPU time of a simulation, which also stops a task that never returns to the loop."""

real_monotonic = time.monotonic
_active: "Clock | None" = None


class EndlessError(Exception):
    """The simulation exceeded a limit. The message names the limit."""


class _CpuLimit(KeyboardInterrupt):
    """The CPU time is exceeded. Only this base class reaches the caller of the loop from each of its tasks."""


class Clock:
    """Monotonic seconds and a wall clock that may step."""

    def __init__(self) -> None:
        self.now_s = FIRST_S
        self.step = timedelta()

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> datetime:
        """Return the time of a machine whose clock is stepped."""
        return self.true_wall() + self.step

    def true_wall(self) -> datetime:
        return START + timedelta(seconds=self.now_s - FIRST_S)


def install() -> None:
    """Let `time.monotonic` return the time of the active clock."""
    time.monotonic = _monotonic


def _monotonic() -> float:
    return real_monotonic() if _active is None else _active.monotonic()


@contextlib.contextmanager
def active(clock: Clock) -> Iterator[None]:
    """Use this clock for `time.monotonic` in the meantime."""
    global _active
    _active = clock
    try:
        yield
    finally:
        _active = None


def run(clock: Clock, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop with virtual time.

    Raises:
        EndlessError: It exceeded a limit.
    """
    loop = VirtualLoop(clock)
    runner = asyncio.Runner(loop_factory=lambda: loop)
    previous = signal.signal(signal.SIGVTALRM, _on_cpu_limit)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CPU_S)
    try:
        with active(clock):
            return runner.run(loop.guarded(main()))
    except asyncio.CancelledError:
        if not loop.excess:
            raise
        raise EndlessError(loop.excess) from None
    except _CpuLimit:
        # The tasks are not canceled, because their end may have no end either.
        loop.set_exception_handler(lambda loop, context: None)
        loop.close()
        raise EndlessError(f"no end after {LONGEST_CPU_S:g} s of CPU time") from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
        if not loop.is_closed():
            with active(clock):
                runner.close()


def _on_cpu_limit(*_: object) -> None:
    raise _CpuLimit


class VirtualLoop(asyncio.SelectorEventLoop):
    """Loop whose time passes only when all its tasks wait."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.threads = 0
        self.excess = ""
        """The limit that is exceeded."""
        self._guarded: asyncio.Task[Any] | None = None
        self._second, self._steps = 0, 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.clock.now_s

    async def guarded(self, main: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine, and cancel it when a limit is exceeded."""
        self._guarded = asyncio.current_task()
        return await main

    def stop_because(self, excess: str) -> None:
        """Cancel the main task, because a limit is exceeded."""
        if self._guarded is not None and not self.excess:
            self.excess = excess
            self._guarded.cancel()

    def on_step(self) -> None:
        """Check the limits."""
        now_s = self.clock.now_s
        if int(now_s) != self._second:
            self._second, self._steps = int(now_s), 0
        self._steps += 1
        if self._steps > MOST_STEPS:
            self.stop_because(
                f"{MOST_STEPS} steps in one second, at {now_s:.1f}: a task never waits"
            )
        if now_s - FIRST_S > LONGEST_VIRTUAL_S:
            self.stop_because(f"no end after {LONGEST_VIRTUAL_S:g} simulated seconds")

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Count the running threads, because time must not pass while one works."""
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._on_thread_end)
        return future

    def _on_thread_end(self, _: object) -> None:
        self.threads -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.clock.now_s += STEP_S
        self._loop.on_step()
        events = super().select(0)
        if events or timeout == 0:
            return events
        events = super().select(SETTLE_S)
        if events:
            return events
        if self._loop.threads or timeout is None:
            events = super().select(LONGEST_IDLE_S)
            if not events:
                raise EndlessError("the simulation is stuck: no timer and no event")
            return events
        self._loop.clock.now_s += timeout
        return []

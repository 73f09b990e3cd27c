"""Virtual time: a clock that a loop advances when it is idle, so a wait of minutes takes no time.

`install` has to be called before the operator is imported, because parts of it have `time.monotonic` as a default.
"""

import asyncio
import contextlib
import selectors
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SETTLE_S = 0.0005
"""Real time that the loop waits for bytes on loopback before it is idle."""
STEP_S = 1e-6
"""Time of one step of the loop. Without it, a task that waits for the rest of a delay, of less than the resolution of
a float, would wait without an end."""
LONGEST_IDLE_S = 30.0
"""Real time without a timer, an event or a thread after which the simulation is stuck."""

real_monotonic = time.monotonic
_active: "Clock | None" = None


class Clock:
    """Monotonic seconds and a wall clock that may step."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.step = timedelta()

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> datetime:
        """Return the time of a machine whose clock is stepped."""
        return self.true_wall() + self.step

    def true_wall(self) -> datetime:
        return START + timedelta(seconds=self.now_s - 1000.0)


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


class VirtualLoop(asyncio.SelectorEventLoop):
    """Loop whose time passes only when all its tasks wait."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.threads = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.clock.now_s

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
        events = super().select(0)
        if events or timeout == 0:
            return events
        events = super().select(SETTLE_S)
        if events:
            return events
        if self._loop.threads or timeout is None:
            events = super().select(LONGEST_IDLE_S)
            if not events:
                raise RuntimeError("the simulation is stuck: no timer and no event")
            return events
        self._loop.clock.now_s += timeout
        return []

"""A loop whose time passes only when all its tasks wait. It has no threads, so a run with a seed can be repeated."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FIRST_S = 1_000.0
START = 1_800_000_000.0
"""Wall clock at the start, in seconds since the epoch."""
STEP_S = 1e-6
"""Time of one step of the loop, so that a wait of less than the resolution of a float ends."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs work of executors at once, in its own thread."""

    def __init__(self) -> None:
        self.now = FIRST_S
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def wall(self) -> float:
        """Return the true wall clock; the clock of a node may differ."""
        return START + self.now - FIRST_S

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.now += STEP_S
        events: list[Any] = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("the run is stuck: no timer and no event")
        if not events and timeout:
            self._loop.now += timeout
        return events

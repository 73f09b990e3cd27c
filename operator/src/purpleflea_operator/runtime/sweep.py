"""Queues all keys, some in each iteration of the event loop, because 10,000 at once would block it for 20 ms."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")

SLICE = 500
"""Keys that are queued in one iteration of the event loop, which takes a millisecond."""


class Sweep(Generic[K]):
    """Passes each of `keys()` to `add`. Requests during a sweep cause one more, because it has passed some keys."""

    def __init__(self, keys: Callable[[], Sequence[K]], add: Callable[[K], object]) -> None:
        self._keys = keys
        self._add = add
        self._left: Iterator[K] | None = None
        self._is_requested = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def start(self) -> None:
        """Start a sweep, at O(1)."""
        self._is_requested = True
        if self._left is None:
            self._left = iter(())
            self._is_idle.clear()
            self._continue_soon()

    async def finish(self) -> None:
        """Wait until all keys are queued."""
        await self._is_idle.wait()

    def _continue_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._continue)

    def _continue(self) -> None:
        if self._left is None:
            return
        slice_ = list(islice(self._left, SLICE))
        for key in slice_:
            self._add(key)
        if len(slice_) < SLICE:
            self._left = iter(self._keys()) if self._is_requested else None
            self._is_requested = False
        if self._left is None:
            self._is_idle.set()
        else:
            self._continue_soon()

"""A work queue: each key at most once in line and at most once in work, with delays and jittered backoff.

It knows nothing of what a key means. A key that is added while it is in work is run again afterwards: a change that
arrives during a pass is never lost. News ends a delay, but not a hold: that is what the API server asked for.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from purpleflea_operator import timings

K = TypeVar("K")


class WorkQueue(Generic[K]):
    """The queue; `jitter` yields numbers in [0, 1), `clock` seconds."""

    def __init__(
        self, *, jitter: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jitter = jitter
        self._clock = clock
        self._line: deque[K] = deque()
        self._waiting: dict[K, float] = {}
        self._working: set[K] = set()
        self._dirty: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._held_until: dict[K, float] = {}
        self._rests: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._wakers: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        """Keys in line."""
        return len(self._line)

    def oldest_s(self) -> float:
        """For how long the key at the head of the line has waited."""
        return self._clock() - self._waiting[self._line[0]] if self._line else 0.0

    def add(self, key: K) -> None:
        """Put a key in line, now, or when its hold ends; a delay it had is over."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        held_s = self._held_s(key)
        if held_s > 0:
            self.add_after(key, held_s)
        elif key in self._working:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._clock()
            self._line.append(key)
            self._wake()

    def add_after(self, key: K, delay_s: float) -> None:
        """Put a key in line after a delay; the earliest of several delays counts."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= loop.time() + delay_s:
                return
            known.cancel()
        self._timers[key] = loop.call_later(delay_s, self.add, key)

    def revisit(self, key: K, after_s: float) -> float:
        """Put a key that is not done in line after a delay or a little later: never all at once. Returns the delay."""
        delay = after_s * (1 + self._jitter() / 10)
        self.add_after(key, delay)
        return delay

    def retry(self, key: K, *, hold_s: float = 0.0) -> float:
        """Put a key that failed in line again: later each time, never all at once. Returns the delay.

        For `hold_s` nothing else brings it into line either.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        ceiling = min(timings.BACKOFF_LIMIT_S, timings.BACKOFF_BASE_S * 2.0 ** min(failures, 16))
        delay = hold_s + ceiling * (0.5 + self._jitter() / 2)
        if hold_s > 0:
            self._held_until[key] = self._clock() + hold_s
        self.add_after(key, delay)
        return delay

    def _held_s(self, key: K) -> float:
        """For how long a key may not go into line."""
        left = self._held_until.get(key, float("-inf")) - self._clock()
        if left <= 0:
            self._held_until.pop(key, None)
        return left

    def succeed(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def take(self) -> K:
        """Wait for a key and take it into work; `finish` must follow."""
        while not self._line:
            waker = asyncio.get_running_loop().create_future()
            self._wakers.add(waker)
            try:
                await waker
            finally:
                self._wakers.discard(waker)
        key = self._line.popleft()
        del self._waiting[key]
        self._working.add(key)
        return key

    def finish(self, key: K) -> None:
        """End the work on a key; where it was added meanwhile, it goes in line again."""
        self._working.discard(key)
        self._rests.pop(key, None)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def finish_after(self, key: K, rest_s: float) -> None:
        """End the work on a key after a rest: news that come meanwhile are worked on together."""
        self._rests[key] = asyncio.get_running_loop().call_later(rest_s, self.finish, key)

    def close(self) -> None:
        """Cancel all delays and rests."""
        for timer in (*self._timers.values(), *self._rests.values()):
            timer.cancel()
        self._timers.clear()
        self._rests.clear()

    def _wake(self) -> None:
        for waker in self._wakers:
            if not waker.done():
                waker.set_result(None)
                return

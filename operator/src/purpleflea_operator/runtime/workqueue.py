"""Work queue as in client-go: a key is queued at most once and processed by one worker at a time, with backoff.

A key that is added while it is processed is queued again afterwards, so no change is lost. An added key ends its delay,
but not its hold: a hold is the Retry-After of the API server. Urgent keys come first, and one of URGENT_SHARE others
comes between them. The module must not interpret the keys.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from purpleflea_operator import timings

K = TypeVar("K")

URGENT_SHARE = 16
"""After this many urgent keys in sequence, another key is processed, so that it does not wait without a limit."""


class WorkQueue(Generic[K]):
    """The queue. `jitter` returns numbers in [0, 1), and `clock` returns monotonic seconds.

    `backoff_limit_s` is the longest delay between two attempts for one key. A queue that is not open drops all keys: a
    standby only fills its caches, and queues everything that is due when it leads.
    """

    def __init__(
        self,
        *,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        backoff_limit_s: float = timings.BACKOFF_LIMIT_S,
        is_open: bool = True,
    ) -> None:
        self._jitter = jitter
        self._clock = clock
        self._backoff_limit_s = backoff_limit_s
        self._is_open = is_open
        self._ready: OrderedDict[K, float] = OrderedDict()
        """The queued keys that are not urgent, and when each was added."""
        self._urgent: OrderedDict[K, float] = OrderedDict()
        self._urgent_taken = 0
        """Urgent keys in sequence that were processed while others waited."""
        self._processing: set[K] = set()
        self._dirty: dict[K, bool] = {}
        """The keys to queue again when their pass is done, and whether they are urgent."""
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._held_until: dict[K, float] = {}
        self._cooldowns: dict[K, asyncio.TimerHandle] = {}
        self._urgent_later: set[K] = set()
        """The keys that are urgent at the end of their hold, or of the delay after a failure."""
        self._urgent_processing: set[K] = set()
        """The urgent keys that are processed, unless the urgent part of their pass is done."""
        self._failures: dict[K, int] = {}
        self._repeats: dict[K, int] = {}
        """Passes in sequence that requested another one at once."""
        self._taking = asyncio.Lock()
        self._waiter: asyncio.Future[None] | None = None
        self._nothing_urgent = asyncio.Event()
        self._nothing_urgent.set()

    def __len__(self) -> int:
        """Return the number of queued keys."""
        return len(self._ready) + len(self._urgent)

    def oldest_s(self) -> float:
        """Return the waiting time of the first queued key, or 0 if the queue is empty."""
        now = self._clock()
        first = (next(iter(keys.values()), now) for keys in (self._urgent, self._ready))
        return now - min(first)

    def has_urgent(self) -> bool:
        """Return whether an urgent key waits for a worker."""
        return bool(self._urgent)

    def open(self) -> None:
        """Accept keys from now on."""
        self._is_open = True

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Queue a key now, or at the end of its hold. A delay of the key is canceled."""
        if not self._is_open:
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        urgent = urgent or key in self._urgent_later
        held_s = self._held_s(key)
        if held_s > 0:
            if urgent:
                self._urgent_later.add(key)
            self.add_after(key, held_s)
            return
        self._urgent_later.discard(key)
        if key in self._processing:
            # The pass may have read its input before the change, so the key is queued again when the pass is done.
            self._dirty[key] = urgent or self._dirty.get(key, False)
        elif urgent and key not in self._urgent:
            self._ready.pop(key, None)
            self._urgent[key] = self._clock()
            self._nothing_urgent.clear()
            self._wake()
        elif key not in self._urgent and key not in self._ready:
            self._ready[key] = self._clock()
            self._wake()

    def add_after(self, key: K, delay_s: float) -> None:
        """Queue a key after a delay. Of several delays the earliest applies."""
        if not self._is_open:
            return
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= loop.time() + delay_s:
                return
            known.cancel()
        self._timers[key] = loop.call_later(delay_s, self.add, key)

    def add_after_jittered(self, key: K, after_s: float) -> float:
        """Queue a key after a delay plus up to 10 %, so that keys are not due at the same time. Return the delay."""
        delay = after_s * (1 + self._jitter() / 10)
        self.add_after(key, delay)
        return delay

    def add_rate_limited(self, key: K, *, hold_s: float = 0.0) -> float:
        """Queue a failed key after an exponential delay with jitter. Return the delay.

        If `hold_s` is set, the delay starts after it, and no other call queues the key before it ends. Both together
        are at most the longest delay of the queue. A key whose urgent pass failed stays urgent.
        """
        if key in self._urgent_processing:
            self._urgent_later.add(key)
        failures, limit_s = self._failures.get(key, 0), self._backoff_limit_s
        self._failures[key] = failures + 1
        ceiling, hold_s = (
            min(limit_s, timings.BACKOFF_BASE_S * 2.0 ** min(failures, 16)),
            min(hold_s, limit_s),
        )
        delay = min(limit_s, hold_s + ceiling * (0.5 + self._jitter() / 2))
        if hold_s > 0:
            self._held_until[key] = self._clock() + hold_s
        self.add_after(key, delay)
        return delay

    def add_again(self, key: K, after_s: float) -> float:
        """Queue a key whose pass requested another one after a delay. Return the delay.

        Passes that request another one at once, again and again, have a backoff, or they would take all time. Failures
        of earlier passes do not count, because this one succeeded.
        """
        if after_s >= timings.AT_ONCE_S:
            self.forget(key)
            return self.add_after_jittered(key, after_s)
        repeats = self._repeats.get(key, 0)
        if repeats >= timings.FREE_REPEATS:
            self._failures[key] = max(repeats, self._failures.get(key, 0))
            return self.add_rate_limited(key)
        self._repeats[key] = repeats + 1
        self.add_after(key, after_s)
        return after_s

    def release(self, key: K) -> None:
        """End the hold of a key, because the next attempt is another request."""
        self._held_until.pop(key, None)

    def _held_s(self, key: K) -> float:
        """Return the rest of the hold of a key, or a number <= 0 if there is none."""
        left = self._held_until.get(key, float("-inf")) - self._clock()
        if left <= 0:
            self._held_until.pop(key, None)
        return left

    def forget(self, key: K) -> None:
        """Reset the backoff of a key."""
        self._failures.pop(key, None)
        self._repeats.pop(key, None)

    async def get(self) -> K:
        """Wait for a key and start to process it. The caller must call `done` or `done_after` afterwards.

        Callers get keys one after another, each in its own iteration of the event loop. A pass without a request never
        waits, so the passes of all workers would otherwise run in one iteration, and block the loop for their sum.
        """
        async with self._taking:
            await asyncio.sleep(0)
            while not len(self):
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            key = self._take()
            self._processing.add(key)
            return key

    def _take(self) -> K:
        is_turn_of_others = self._ready and self._urgent_taken >= URGENT_SHARE
        if not self._urgent or is_turn_of_others:
            self._urgent_taken = 0
            return self._ready.popitem(last=False)[0]
        self._urgent_taken += 1
        key, _ = self._urgent.popitem(last=False)
        self._urgent_processing.add(key)
        if not self._urgent:
            self._nothing_urgent.set()
        return key

    def end_urgency(self, key: K) -> None:
        """Record that the urgent part of a pass is done, so that a failure of the rest is not urgent."""
        self._urgent_processing.discard(key)

    async def wait_until_nothing_is_urgent(self) -> None:
        """Wait until every urgent key has a worker. Keys with a delay do not count."""
        await self._nothing_urgent.wait()

    def done(self, key: K) -> None:
        """End the processing of a key. If the key was added in the meantime, it is queued again."""
        self._processing.discard(key)
        self._urgent_processing.discard(key)
        self._cooldowns.pop(key, None)
        if key in self._dirty:
            self.add(key, urgent=self._dirty.pop(key))

    def done_after(self, key: K, cooldown_s: float) -> None:
        """End the processing of a key after a cooldown, so that events of that time share one pass."""
        self._cooldowns[key] = asyncio.get_running_loop().call_later(cooldown_s, self.done, key)

    def close(self) -> None:
        """Cancel all delays and cooldowns."""
        for timer in (*self._timers.values(), *self._cooldowns.values()):
            timer.cancel()
        self._timers.clear()
        self._cooldowns.clear()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

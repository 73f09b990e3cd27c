"""The number of orders in the last minute, by the monotonic clock, so that a step of the wall clock lifts no limit.

An order counts from its record before the write to the journal until a minute after it can have left, which is the end
of its request. A slow disk or connection would otherwise let more orders leave in a minute than the limit allows.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator

from purpleflea_agent.journal import Journal
from purpleflea_agent.journal.order_times import SEND_DELAY_S, WINDOW_S

MINUTE_S = 60.0


class OrderRate:
    """Counts the orders of this process, and at its start those that an earlier process sent."""

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._monotonic = monotonic
        self._sent: deque[float] = deque()
        self._has_read_journal = False

    def record(self) -> None:
        """Count an order that is about to be sent."""
        self._sent.append(self._monotonic())

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """Put the request of the order that was recorded last inside; it counts for a minute after its end."""
        try:
            yield
        finally:
            if self._sent:
                self._sent.pop()
            self.record()

    async def last_minute(self) -> int:
        """Return the number of orders in the last minute."""
        if not self._has_read_journal:
            earlier = await self._earlier()
            self._sent = deque([*earlier[: max(0, len(earlier) - len(self._sent))], *self._sent])
            self._has_read_journal = True
        before = self._monotonic() - MINUTE_S
        while self._sent and self._sent[0] <= before:
            self._sent.popleft()
        return len(self._sent)

    async def _earlier(self) -> list[float]:
        """Return the times of the orders in the journal, oldest first, by the monotonic clock of this process."""
        ages, now = await self._journal.order_ages(), self._monotonic()
        if ages is not None:
            return [now - max(0.0, age - SEND_DELAY_S) for age in ages]
        # Orders in the future were written before the wall clock stepped back. All count from now on, for a minute.
        return [now] * await self._journal.orders_since(self._clock() - WINDOW_S)

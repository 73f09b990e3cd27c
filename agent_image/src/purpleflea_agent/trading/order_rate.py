"""The number of orders in the last minute, by the monotonic clock, so that a step of the wall clock lifts no limit."""

import time
from collections import deque
from collections.abc import Callable

from purpleflea_agent.journal import Journal

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

    async def last_minute(self) -> int:
        """Return the number of orders in the last minute."""
        if not self._has_read_journal:
            # Orders in the near future were written before the wall clock stepped back. They count from now on.
            now = self._clock()
            earlier = await self._journal.orders_between(now - MINUTE_S, now + MINUTE_S)
            self._sent.extendleft([self._monotonic()] * (earlier - len(self._sent)))
            self._has_read_journal = True
        before = self._monotonic() - MINUTE_S
        while self._sent and self._sent[0] <= before:
            self._sent.popleft()
        return len(self._sent)

"""How fast the status of one agent may be written: once a second, after a first two at once. Pure but for its memory.

A burst of pod events must not become a burst of writes. Nothing is lost by waiting: who is told to wait comes again and
writes what stands then.
"""

from collections.abc import Callable, Hashable

INTERVAL_S = 1.0
AT_ONCE = 2
"""Writes without a wait: a new agent that starts within a second says so at once."""


class Pace:
    """Remembers, per agent, when the status was written; `clock` yields seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[Hashable, float] = {}
        self._used_up: dict[Hashable, float] = {}

    def since_write_s(self, key: Hashable) -> float:
        """Seconds since the last write; infinite where none is remembered."""
        return self._clock() - self._written.get(key, float("-inf"))

    def wait_s(self, key: Hashable) -> float:
        """Seconds until a write may go; 0 for now."""
        free = self._used_up.get(key, float("-inf")) - (AT_ONCE - 1) * INTERVAL_S
        return max(0.0, free - self._clock())

    def spend(self, key: Hashable) -> None:
        """Note that a write goes now."""
        now = self._written[key] = self._clock()
        self._used_up[key] = max(self._used_up.get(key, now), now) + INTERVAL_S

    def forget(self, key: Hashable) -> None:
        """Forget an agent that is gone."""
        self._written.pop(key, None)
        self._used_up.pop(key, None)

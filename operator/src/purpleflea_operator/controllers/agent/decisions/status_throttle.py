"""How fast the status of one agent may be written: once a second, after a first two at once. Pure but for its memory.

A burst of pod events must not become a burst of writes. Nothing is lost by waiting: who is told to wait comes again and
writes what stands then.

How long something that will pass by itself may hold up a status. Pure but for its memory.

Two things do. The watches of pods and StatefulSets tell of the same pods, and in no order, and who is ready is asked
whether it is heard: without a moment's wait a start would be told twice, as done, and again as proven. And a status
that would only say that a change of the spec is under way says what its observedGeneration says already.
"""

from collections.abc import Callable, Hashable

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState

AT_ONCE = 2
"""Writes without a wait: a new agent that starts within a second says so at once."""


class WriteRateLimiter:
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
        free = self._used_up.get(key, float("-inf")) - (AT_ONCE - 1) * timings.STATUS_INTERVAL_S
        return max(0.0, free - self._clock())

    def spend(self, key: Hashable) -> None:
        """Note that a write goes now."""
        now = self._written[key] = self._clock()
        self._used_up[key] = max(self._used_up.get(key, now), now) + timings.STATUS_INTERVAL_S

    def forget(self, key: Hashable) -> None:
        """Forget an agent that is gone."""
        self._written.pop(key, None)
        self._used_up.pop(key, None)


class Debounce:
    """Remembers, per agent, since when it waits; `clock` yields seconds."""

    def __init__(self, clock: Callable[[], float], limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._since: dict[Hashable, float] = {}

    def left_s(self, key: Hashable, *, waits: bool) -> float:
        """Seconds for which to wait on; 0 where there is nothing to wait for, or it took too long."""
        if not waits:
            self.forget(key)
            return 0.0
        since = self._since.setdefault(key, self._clock())
        return max(0.0, since + self._limit_s - self._clock())

    def forget(self, key: Hashable) -> None:
        """Forget an agent that is gone, or waits no more."""
        self._since.pop(key, None)


def pods_are_behind(world: ObservedState) -> bool:
    """Whether the StatefulSet counts more ready pods than are known to be ready, or one was not asked yet."""
    counted = (world.stateful_set or {}).get("status", {}).get("readyReplicas", 0)
    is_new = Delivery.PENDING in world.hearing.values()
    return is_new or bool(counted > sum(pod.ready for pod in world.pods))

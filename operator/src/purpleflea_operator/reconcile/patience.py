"""How long something that will pass by itself may hold up a status. Pure but for its memory.

Two things do. The watches of pods and StatefulSets tell of the same pods, and in no order, and who is ready is asked
whether it is heard: without a moment's wait a start would be told twice, as done, and again as proven. And a status
that would only say that a change of the spec is under way says what its observedGeneration says already.
"""

from collections.abc import Callable, Hashable

from purpleflea_operator.reconcile.checks.reasons import Hearing
from purpleflea_operator.reconcile.world import World

LAG_S = 1.0
"""How long pods may be behind; then the status says what is known: they may have gone again meanwhile."""
UNDER_WAY_S = 15.0
"""How long a rollout may take before the status speaks of it; most are over by then, and told once, as done."""
LOOK_AGAIN_S = 0.25


class Patience:
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


def pods_are_behind(world: World) -> bool:
    """Whether the StatefulSet counts more ready pods than are known to be ready, or one was not asked yet."""
    counted = (world.stateful_set or {}).get("status", {}).get("readyReplicas", 0)
    is_new = Hearing.NEW in world.hearing.values()
    return is_new or bool(counted > sum(pod.ready for pod in world.pods))

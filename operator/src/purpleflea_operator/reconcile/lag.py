"""Whether the watch of the pods is behind that of the StatefulSets: then a moment is waited before a status is written.

Both tell of the same pods, and in no order. Without the wait a start would be told twice: as done, and again with the
nodes of its pods. Pure but for its memory.
"""

from collections.abc import Callable, Hashable

from purpleflea_operator.reconcile.world import World

LIMIT_S = 1.0
"""After so long the status says what is known; the pods may have gone again meanwhile."""
LOOK_AGAIN_S = 0.25


class Lag:
    """Remembers, per agent, since when its pods lag; `clock` yields seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[Hashable, float] = {}

    def wait_s(self, key: Hashable, world: World) -> float | None:
        """Seconds to wait for news of the pods; None where there is nothing to wait for."""
        if not _is_behind(world):
            self.forget(key)
            return None
        since = self._since.setdefault(key, self._clock())
        return LOOK_AGAIN_S if self._clock() - since < LIMIT_S else None

    def forget(self, key: Hashable) -> None:
        """Forget an agent that is gone, or whose pods are known."""
        self._since.pop(key, None)


def _is_behind(world: World) -> bool:
    """Whether the StatefulSet counts more ready pods than are known to be ready."""
    counted = (world.stateful_set or {}).get("status", {}).get("readyReplicas", 0)
    return bool(counted > sum(pod.ready for pod in world.pods))

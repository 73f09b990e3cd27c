"""Whose turn it is to restart because the Datadog installation changed: of many agents a few at a time.

One change of a node agent changes the connection of every agent in the same second, and agents with one identity have
nobody to wait for. Kept in memory alone: after a takeover as many again may begin. Who does not come back holds its
turn for a while only.
"""

from collections.abc import Callable

from purpleflea_operator import timings
from purpleflea_operator.kube.object_cache import NamespacedName

AGENTS_PER_SLOT = 20
"""Of so many agents that have to restart, one does at a time."""


class RestartBudget:
    """The agents that restart, and those that wait for it; `clock` yields seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: dict[NamespacedName, float] = {}
        self._waiting: dict[NamespacedName, None] = {}
        self._most = 0
        self.concern: Callable[[NamespacedName], None] = lambda key: None
        """Called with an agent whose turn has come."""

    def take(self, key: NamespacedName) -> bool:
        """Whether an agent may restart now; one that may not is called when it may."""
        if key in self._began:
            return True
        self._waiting[key] = None
        self._most = max(self._most, len(self._began) + len(self._waiting))
        if self._free() <= 0:
            return False
        del self._waiting[key]
        self._began[key] = self._clock()
        return True

    def leave(self, key: NamespacedName, *, restarts: bool = False) -> None:
        """Take in that an agent is gone or has what it is to have; one that still `restarts` holds its turn."""
        self._waiting.pop(key, None)
        if not restarts and self._began.pop(key, None) is not None:
            self.call()
        if not self._began and not self._waiting:
            self._most = 0

    def call(self) -> None:
        """Call as many as there are turns."""
        for key in list(self._waiting)[: max(0, self._free())]:
            self.concern(key)

    def _free(self) -> int:
        # By the most there were: else the last ones would go one by one.
        running = [
            at for at in self._began.values() if self._clock() - at < timings.RESTART_SLOT_TIMEOUT_S
        ]
        return max(1, self._most // AGENTS_PER_SLOT) - len(running)

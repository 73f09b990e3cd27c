"""A limit for concurrent restarts after a change of the Datadog installation.

One change of a node agent changes the connection of every agent within a second, and an agent with one identity has no
rollout that limits it. Therefore only a fraction of these agents restarts at a time. The budget is kept in memory:
after a change of leader, the new leader starts with a full budget. An agent that does not become ready again loses its
slot after a timeout.
"""

from collections.abc import Callable
from typing import assert_never

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.connection_choice import SlotUse
from purpleflea_operator.kube.object_cache import NamespacedName

AGENTS_PER_SLOT = 20
"""One of this many agents that have to restart does so at a time."""


class RestartBudget:
    """The agents that restart, and those that wait for a slot.

    `on_slot_free` is called with a waiting agent that can acquire a slot; `clock` returns seconds.
    """

    def __init__(
        self, on_slot_free: Callable[[NamespacedName], None], *, clock: Callable[[], float]
    ) -> None:
        self._on_slot_free = on_slot_free
        self._clock = clock
        self._started_at: dict[NamespacedName, float] = {}
        self._waiting: dict[NamespacedName, None] = {}
        self._peak = 0

    def update(self, key: NamespacedName, use: SlotUse) -> bool:
        """Acquire, keep or release the slot of an agent; return False if the agent has to wait for a slot."""
        match use:
            case SlotUse.ACQUIRE:
                return self.try_acquire(key)
            case SlotUse.HOLD | SlotUse.NONE:
                # An agent that cannot use a slot, such as one with an invalid spec, must not block the queue.
                self.stop_waiting(key)
            case SlotUse.RELEASE:
                self.release(key)
            case _:
                assert_never(use)
        return True

    def try_acquire(self, key: NamespacedName) -> bool:
        """Return whether an agent may restart now; an agent that may not waits for a free slot."""
        if key in self._started_at:
            return True
        self._waiting[key] = None
        self._peak = max(self._peak, len(self._started_at) + len(self._waiting))
        if self._free() <= 0:
            return False
        del self._waiting[key]
        self._started_at[key] = self._clock()
        return True

    def stop_waiting(self, key: NamespacedName) -> None:
        """Remove an agent from the queue; if it has a slot, it keeps it."""
        self._waiting.pop(key, None)
        self._reset_peak()

    def release(self, key: NamespacedName) -> None:
        """Remove an agent, because it is deleted or all its pods are ready; its slot is free for a waiting agent."""
        self._waiting.pop(key, None)
        if self._started_at.pop(key, None) is not None:
            self.notify_waiters()
        self._reset_peak()

    def notify_waiters(self) -> None:
        """Notify as many waiting agents as there are free slots."""
        for key in list(self._waiting)[: max(0, self._free())]:
            self._on_slot_free(key)

    def _reset_peak(self) -> None:
        if not self._started_at and not self._waiting:
            self._peak = 0

    def _free(self) -> int:
        # The peak counts, not the number that is left, because otherwise the last agents would restart one by one.
        restarting = [
            at
            for at in self._started_at.values()
            if self._clock() - at < timings.RESTART_SLOT_TIMEOUT_S
        ]
        return max(1, self._peak // AGENTS_PER_SLOT) - len(restarting)

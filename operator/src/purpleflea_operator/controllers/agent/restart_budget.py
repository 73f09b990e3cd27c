"""A limit for concurrent restarts that no user has requested.

A change of a node agent, or another version of the operator, changes the pod template of every agent within a second,
and an agent with one identity has no rollout that limits it. Therefore only a fraction of the agents of each env
restarts at a time. If an upgraded agent fails, no further agent of its env restarts until it is ready again, its spec
is changed, or it is deleted.

The budget is kept in memory. After a change of leader, agents with an upgrade in progress get their slots again, and
others start with a full budget. An agent that does not become ready after a change of its connection loses its slot
after a timeout.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import assert_never

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.connection_choice import SlotUse
from purpleflea_operator.kube.object_cache import NamespacedName


@dataclass(slots=True)
class _Slot:
    started_at: float
    is_upgrade: bool = False
    is_failing: bool = False


@dataclass(slots=True)
class _Group:
    """The agents of one env."""

    slots: dict[NamespacedName, _Slot] = field(default_factory=dict)
    waiting: dict[NamespacedName, None] = field(default_factory=dict)
    peak: int = 0


class RestartBudget:
    """The agents that restart, and those that wait for a slot, by env.

    `on_slot_free` is called with a waiting agent that can acquire a slot, and `clock` returns seconds.
    `percent` (1 to 100) of the agents that have to restart may do so at a time, at least one.
    """

    def __init__(
        self,
        on_slot_free: Callable[[NamespacedName], None],
        *,
        clock: Callable[[], float],
        percent: int = timings.RESTART_PERCENT,
    ) -> None:
        self._on_slot_free = on_slot_free
        self._clock = clock
        self._percent = percent
        self._groups: dict[str, _Group] = {}
        self._env_of: dict[NamespacedName, str] = {}
        self._pending: dict[NamespacedName, str] = {}
        self._pending_by_env: Counter[str] = Counter()

    def update(self, key: NamespacedName, use: SlotUse, *, env: str = "") -> bool:
        """Acquire, keep or release the slot of an agent; return False if the agent has to wait for a slot."""
        match use:
            case SlotUse.ACQUIRE:
                return self.try_acquire(key, env=env)
            case SlotUse.HOLD | SlotUse.NONE:
                # An agent that cannot use a slot, such as one with an invalid spec, must not block the queue.
                self.stop_waiting(key)
            case SlotUse.RELEASE:
                self.release(key)
            case _:
                assert_never(use)
        return True

    def try_acquire(self, key: NamespacedName, *, env: str = "") -> bool:
        """Return whether an agent may restart now; an agent that may not waits for a free slot."""
        group = self._group_of(key, env)
        if key in group.slots:
            return True
        group.waiting[key] = None
        group.peak = max(group.peak, len(group.slots) + len(group.waiting))
        if self._free(group) <= 0:
            return False
        del group.waiting[key]
        group.slots[key] = _Slot(self._clock())
        return True

    def hold(self, key: NamespacedName, *, env: str, is_failing: bool = False) -> None:
        """Give a slot to an agent whose upgrade is in progress, without a limit of time.

        As long as it fails, no other agent of its env gets a slot.
        """
        group = self._group_of(key, env)
        group.waiting.pop(key, None)
        slot = group.slots.setdefault(key, _Slot(self._clock()))
        had_failed, slot.is_upgrade, slot.is_failing = slot.is_failing, True, is_failing
        group.peak = max(group.peak, len(group.slots) + len(group.waiting))
        if had_failed and not is_failing:
            self._notify(group)

    def stop_waiting(self, key: NamespacedName) -> None:
        """Remove an agent from the queue; if it has a slot, it keeps it."""
        group = self._groups.get(self._env_of.get(key, ""))
        if group is not None:
            group.waiting.pop(key, None)
            self._tidy(key, group)

    def release(self, key: NamespacedName) -> None:
        """Remove an agent, because all its pods are ready; its slot is free for a waiting agent."""
        group = self._groups.get(self._env_of.get(key, ""))
        if group is None:
            return
        group.waiting.pop(key, None)
        if group.slots.pop(key, None) is not None:
            self._notify(group)
        self._tidy(key, group)

    def forget(self, key: NamespacedName) -> None:
        """Remove an agent that is deleted."""
        self.set_pending(key, "", is_pending=False)
        self.release(key)

    def notify_waiters(self) -> None:
        """Notify as many waiting agents as there are free slots."""
        for group in self._groups.values():
            self._notify(group)

    def set_pending(self, key: NamespacedName, env: str, *, is_pending: bool) -> None:
        """Record whether an upgrade of an agent is pending."""
        known = self._pending.get(key)
        if known == (env if is_pending else None):
            return
        if known is not None:
            del self._pending[key]
            self._pending_by_env[known] -= 1
        if is_pending:
            self._pending[key] = env
            self._pending_by_env[env] += 1

    def pending(self) -> Counter[str]:
        """Return the number of agents with a pending upgrade, by env."""
        return +self._pending_by_env

    def failing(self) -> Counter[str]:
        """Return the number of agents that fail after their upgrade and stop the upgrade of others, by env."""
        failing = {
            env: sum(slot.is_failing for slot in group.slots.values())
            for env, group in self._groups.items()
        }
        return Counter({env: number for env, number in failing.items() if number})

    def _notify(self, group: _Group) -> None:
        for key in tuple(islice(group.waiting, max(0, self._free(group)))):
            self._on_slot_free(key)

    def _group_of(self, key: NamespacedName, env: str) -> _Group:
        """Return the group of an agent; an agent whose env has changed leaves its previous group."""
        if self._env_of.get(key, env) != env:
            self.release(key)
        self._env_of[key] = env
        return self._groups.setdefault(env, _Group())

    def _tidy(self, key: NamespacedName, group: _Group) -> None:
        """Remove an agent without a slot, and a group without agents."""
        if key not in group.slots:
            env = self._env_of.pop(key, "")
            if not group.slots and not group.waiting:
                self._groups.pop(env, None)

    def _free(self, group: _Group) -> int:
        if any(slot.is_failing for slot in group.slots.values()):
            return 0
        # The peak counts, not the number that is left, because otherwise the last agents would restart one by one.
        restarting = [
            slot
            for slot in group.slots.values()
            if slot.is_upgrade or self._clock() - slot.started_at < timings.RESTART_SLOT_TIMEOUT_S
        ]
        return max(1, group.peak * self._percent // 100) - len(restarting)

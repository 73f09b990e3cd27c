"""A limit for concurrent restarts that no user has requested.

A change of a node agent, or another version of the operator, changes the pod template of every agent within a second,
and an agent with one identity has no rollout that limits it. Therefore only a fraction of the agents of each env
restarts at a time. Two kinds of failures are distinguished:

- The pods of an upgraded agent fail. The new version can be the cause, so no further agent of its env restarts until
  this one is ready, a user changes its pod template, or it is deleted. A pod that is replaced meanwhile is not a sign
  of success.
- The write of the new template fails, such as by a webhook or a quota. The pods are unchanged, so the agent gives its
  slot back, and gets another one after a delay that doubles, and after all agents that have not failed.

The budget is kept in memory. After a change of leader, agents with an upgrade in progress get their slots again, and no
other agent of their env restarts before a pass has checked them. An agent that does not become ready after a change of
its connection loses its slot after a timeout.
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
    is_unchecked: bool = False
    """True after a change of leader, until a pass has found whether the agent fails."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """The failed attempts of an agent to use a slot."""

    attempts: int
    due_s: float
    """Time from which it may have another slot."""


@dataclass(slots=True)
class _Group:
    """The agents of one env."""

    slots: dict[NamespacedName, _Slot] = field(default_factory=dict)
    waiting: dict[NamespacedName, None] = field(default_factory=dict)
    notified: set[NamespacedName] = field(default_factory=set)
    """Waiting agents that were notified of a free slot, and have not requested it yet."""
    failures: dict[NamespacedName, _Failure] = field(default_factory=dict)
    peak: int = 0

    @property
    def is_blocked(self) -> bool:
        """Return whether an upgrade fails, or may fail."""
        return any(slot.is_failing or slot.is_unchecked for slot in self.slots.values())

    def has_others_before(self, key: NamespacedName) -> bool:
        """Return whether an agent that has not failed waits, other than this one."""
        return any(item not in self.failures for item in self.waiting if item != key)

    def remove(self, key: NamespacedName) -> None:
        """Remove an agent."""
        self.slots.pop(key, None)
        self.stop_waiting(key)

    def stop_waiting(self, key: NamespacedName) -> None:
        """Remove an agent from the queue; if it has a slot, it keeps it."""
        self.waiting.pop(key, None)
        self.notified.discard(key)
        self.failures.pop(key, None)


class RestartBudget:
    """The agents that restart, and those that wait for a slot, by env.

    `on_slot_free` is called once with a waiting agent that can acquire a slot, and again only after it has requested
    it. `clock` returns seconds. `percent` (1 to 100) of the agents that have to restart may do so at a time, at least
    one.
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
                return True
            case SlotUse.RELEASE:
                self.release(key)
                return True
            case _:
                assert_never(use)

    def try_acquire(self, key: NamespacedName, *, env: str = "") -> bool:
        """Return whether an agent may restart now; an agent that may not waits for a free slot."""
        group = self._group_of(key, env)
        if key in group.slots:
            return True
        group.waiting.setdefault(key)
        group.notified.discard(key)
        group.peak = max(group.peak, len(group.slots) + len(group.waiting))
        if self._free(group) <= 0 or self._must_yield(group, key):
            return False
        del group.waiting[key]
        group.slots[key] = _Slot(self._clock())
        return True

    def give_back(self, key: NamespacedName) -> None:
        """Remove the slot of an agent whose write failed. It waits behind all agents that have not failed.

        Nothing changes if the agent was deleted during the write.
        """
        group = self._groups.get(self._env_of.get(key, ""))
        if group is None:
            return
        known = group.failures.get(key)
        attempts = 1 if known is None else known.attempts + 1
        delay_s = timings.REJECTED_RETRY_S * 2.0 ** min(attempts - 1, 16)
        due_s = self._clock() + min(timings.REJECTED_RETRY_LIMIT_S, delay_s)
        group.remove(key)
        group.failures[key] = _Failure(attempts, due_s)
        group.waiting[key] = None
        self._notify(group)

    def retry_after_s(self, key: NamespacedName) -> float | None:
        """Return the seconds until an agent whose write failed may have a slot; None if it is notified of one."""
        group = self._groups.get(self._env_of.get(key, ""))
        failure = None if group is None else group.failures.get(key)
        if failure is None or failure.due_s <= self._clock():
            return None
        return failure.due_s - self._clock()

    def hold(self, key: NamespacedName, *, env: str, is_failing: bool = False) -> None:
        """Give a slot to an agent whose upgrade is in progress, without a limit of time.

        If it fails once, no other agent of its env gets a slot until its slot is released.
        """
        slot, group = self._upgrade_slot(key, env)
        was_unchecked, slot.is_unchecked = slot.is_unchecked, False
        slot.is_failing = slot.is_failing or is_failing
        if was_unchecked:
            self._notify(group)

    def restore(self, key: NamespacedName, *, env: str, is_failing: bool) -> None:
        """Give a slot to an agent whose upgrade was in progress when another replica led."""
        slot, _ = self._upgrade_slot(key, env)
        slot.is_unchecked, slot.is_failing = True, is_failing

    def end_pass(self, key: NamespacedName, *, is_requested: bool) -> None:
        """Remove an agent from the queue unless it requests a slot, and end its upgrade.

        A slot for a change of the connection stays until all pods are ready.
        """
        group = self._groups.get(self._env_of.get(key, ""))
        if group is None:
            return
        slot = group.slots.get(key)
        if slot is not None and slot.is_upgrade:
            del group.slots[key]
            if is_requested:
                group.slots[key] = _Slot(self._clock())
        if not is_requested:
            group.stop_waiting(key)
        self._tidy(key, group)

    def release(self, key: NamespacedName) -> None:
        """Remove the slot of an agent, because all its pods are ready."""
        group = self._groups.get(self._env_of.get(key, ""))
        if group is not None and group.slots.pop(key, None) is not None:
            group.stop_waiting(key)
            self._tidy(key, group)

    def forget(self, key: NamespacedName) -> None:
        """Remove an agent that is deleted."""
        self.set_pending(key, "", is_pending=False)
        self._leave(key)

    def notify_waiters(self) -> None:
        """Notify as many waiting agents as there are free slots, such as after a timeout."""
        for group in self._groups.values():
            group.notified.clear()
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

    def _upgrade_slot(self, key: NamespacedName, env: str) -> tuple[_Slot, _Group]:
        group = self._group_of(key, env)
        group.stop_waiting(key)
        slot = group.slots.setdefault(key, _Slot(self._clock()))
        slot.is_upgrade = True
        group.peak = max(group.peak, len(group.slots) + len(group.waiting))
        return slot, group

    def _notify(self, group: _Group) -> None:
        """Notify the next waiting agents, one for each free slot of which no agent was notified yet."""
        number = self._free(group) - len(group.notified)
        if number <= 0:
            return
        candidates = (
            key
            for key in group.waiting
            if key not in group.notified and not self._must_yield(group, key)
        )
        for key in list(islice(candidates, number)):
            group.notified.add(key)
            self._on_slot_free(key)

    def _must_yield(self, group: _Group, key: NamespacedName) -> bool:
        """Return whether an agent whose write failed has to wait, for a time or for other agents."""
        failure = group.failures.get(key)
        if failure is None:
            return False
        return self._clock() < failure.due_s or group.has_others_before(key)

    def _group_of(self, key: NamespacedName, env: str) -> _Group:
        """Return the group of an agent; an agent whose env has changed leaves its previous group."""
        if self._env_of.get(key, env) != env:
            self._leave(key)
        self._env_of[key] = env
        return self._groups.setdefault(env, _Group())

    def _leave(self, key: NamespacedName) -> None:
        group = self._groups.get(self._env_of.get(key, ""))
        if group is not None:
            group.remove(key)
            self._tidy(key, group)

    def _tidy(self, key: NamespacedName, group: _Group) -> None:
        """Notify the agents that wait, after an agent has left; remove what is not needed any more."""
        self._notify(group)
        if key not in group.slots and key not in group.waiting:
            env = self._env_of.pop(key, "")
            if not group.slots and not group.waiting:
                self._groups.pop(env, None)

    def _free(self, group: _Group) -> int:
        if group.is_blocked:
            return 0
        # The peak counts, not the number that is left, because otherwise the last agents would restart one by one.
        restarting = [
            slot
            for slot in group.slots.values()
            if slot.is_upgrade or self._clock() - slot.started_at < timings.RESTART_SLOT_TIMEOUT_S
        ]
        return max(1, group.peak * self._percent // 100) - len(restarting)

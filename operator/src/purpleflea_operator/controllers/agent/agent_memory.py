"""The memory of the operator about each agent between two passes, in one place per agent.

All of it can be lost: after a restart, another replica builds it again from the cluster at the cost of a few reads. The
memory ends with the agent: `forget` removes all of it, and an agent that is recreated under the same name starts with
an empty memory. This module decides nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from purpleflea_contract.control import Acknowledgement, Control
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.ready_times import ReadyTimes
from purpleflea_operator.controllers.agent.decisions.remembered import (
    ExpansionRejection,
    Remembered,
)
from purpleflea_operator.controllers.agent.decisions.status_throttle import Debounce
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.controllers.agent.decisions.write_ledger import WriteLedger
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.status_writes import WriteRateLimiter

REQUESTS_PER_AGENT = 16
"""Concurrent requests to the pods of one agent resource, of 256 to all pods, so that unresponsive pods of one agent do
not delay the requests to others."""


@dataclass(slots=True, kw_only=True)
class ModeRequests:
    """The requests about one control file to the pods of one agent, and the responses, by UID of the pod.

    All times are seconds of a monotonic clock, because a step of the wall clock must not delay the proof of a halt.
    """

    control: Control | None
    delivered_s: float
    """Time of the first pass with this control file."""
    outdated: set[str] = field(default_factory=set)
    """Pods that ran when the ConfigMap got the control file, and were not nudged since."""
    responses: dict[str, Acknowledgement] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    next_s: dict[str, float] = field(default_factory=dict)
    in_flight: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    """Names of pods that did not run when the API server was asked after the ConfigMap got the control file. A pod that
    is created later starts with this file."""
    mounted: dict[str, str] = field(default_factory=dict)
    """By name: UID of the first pod that the API server returned after the ConfigMap got the control file, if the pod
    may have mounted an earlier file; otherwise "". A pod with another UID is created later."""
    limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REQUESTS_PER_AGENT))

    def cancel(self) -> None:
        """Cancel all requests."""
        for task in list(self.in_flight.values()):
            task.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage:
    """The newest message in the Events about an object."""

    uid: str
    """UID of the object."""
    text: str
    """The message; empty if no Event explains the problem."""
    read_at: datetime


@dataclass(slots=True, kw_only=True)
class AgentMemory:
    """The memory about one agent."""

    uid: str
    status_writes: WriteRateLimiter
    replicas_debounce: Debounce
    progress_debounce: Debounce
    start_debounce: Debounce
    acknowledgements_debounce: Debounce
    mode_requests: ModeRequests | None = None
    event_message: EventMessage | None = None
    expansion: ExpansionRejection | None = None
    recreated: Manifest | None = None
    """The StatefulSet that was deleted with its pods orphaned, until it is created again."""
    has_created: bool = False
    """True if this process has created a child."""
    troubled_conditions: set[str] = field(default_factory=set)
    """Types of conditions whose last Event reported a problem, so that their recovery is reported too."""
    writes: WriteLedger = field(default_factory=WriteLedger)
    recreated_at: datetime | None = None
    """Time at which the StatefulSet was last deleted to recreate it."""
    halt_ended_s: float | None = None
    """Monotonic time at which the last halt of the agent ended, while the agent keeps its mode until it is drained."""
    may_resume: bool = False
    """Whether the agent may resume after its last halt, while its ConfigMap does not have the new mode yet."""
    held_back: Sequence[WriteFailure] = ()
    """The failed writes because of which the agent waits for another restart slot."""
    pods_seen: dict[str, bool] = field(default_factory=dict)
    """Names of the pods of the last pass, and whether each was being deleted."""
    ready_times: ReadyTimes | None = None
    """The ready pods of the last pass; None before the first one."""
    unseen: dict[str, float] = field(default_factory=dict)
    """Names of pods that may run although they are not watched, and the monotonic time at which to search them."""
    unrestored: dict[str, WriteFailure] = field(default_factory=dict)
    """By the name of an unseen pod: why its labels could not be restored."""
    label_writes: WriteLedger = field(default_factory=WriteLedger)
    """The last writes of the labels of unseen pods, by the control lane."""
    transient_failures: dict[str, int] = field(default_factory=dict)
    """Passes in a row in which a write failed with a transient error, by kind and name of the object."""

    def snapshot(self, now: datetime, monotonic_s: float) -> Remembered:
        """Return the values that `gather` uses; `monotonic_s` is the monotonic time at `now`."""
        requests, ended_s = self.mode_requests, self.halt_ended_s
        expansion = self.expansion
        if expansion is not None and expansion.due_s <= monotonic_s:
            expansion = None
        if requests is None:
            return Remembered(
                expansion=expansion,
                recreated=self.recreated,
                recreated_at=self.recreated_at,
                unseen=dict(self.unseen),
            )
        return Remembered(
            control=requests.control,
            outdated=frozenset(requests.outdated),
            delivered_at=now - timedelta(seconds=monotonic_s - requests.delivered_s),
            acknowledgements=dict(requests.responses),
            attempts=dict(requests.attempts),
            expansion=expansion,
            recreated_at=self.recreated_at,
            ended_for_s=None if ended_s is None else monotonic_s - ended_s,
            may_resume=self.may_resume,
            unseen=dict(self.unseen),
            confirmed=frozenset(requests.confirmed),
            mounted=dict(requests.mounted),
            recreated=self.recreated,
        )


class AgentMemories:
    """The memory of all agents; `clock` returns seconds and is the clock of all limits."""

    def __init__(self, clock: Callable[[], float], restarts: RestartBudget) -> None:
        self._clock = clock
        self._restarts = restarts
        self._by_key: dict[NamespacedName, AgentMemory] = {}

    def __contains__(self, key: NamespacedName) -> bool:
        """Return whether there is a memory about an agent."""
        return key in self._by_key

    def of(self, key: NamespacedName, uid: str) -> AgentMemory:
        """Return the memory about an agent; a new one if the agent is new or was recreated."""
        known = self._by_key.get(key)
        if known is not None and known.uid == uid:
            return known
        if known is not None:
            # The first pass after a change of leader must not remove the restart slot that was restored.
            self.forget(key)
        memory = AgentMemory(
            uid=uid,
            status_writes=WriteRateLimiter(self._clock),
            replicas_debounce=Debounce(self._clock, timings.DEBOUNCE_REPLICAS_S),
            progress_debounce=Debounce(self._clock, timings.DEBOUNCE_PROGRESS_S),
            start_debounce=Debounce(self._clock, timings.DEBOUNCE_START_S),
            acknowledgements_debounce=Debounce(self._clock, timings.DEBOUNCE_ACKNOWLEDGEMENTS_S),
        )
        self._by_key[key] = memory
        return memory

    def forget(self, key: NamespacedName) -> None:
        """Remove the memory about an agent, cancel its requests, and remove it from the restart budget."""
        memory = self._by_key.pop(key, None)
        if memory is not None and memory.mode_requests is not None:
            memory.mode_requests.cancel()
        self._restarts.forget(key)

    def close(self) -> None:
        """Cancel the requests of all agents."""
        for memory in self._by_key.values():
            if memory.mode_requests is not None:
                memory.mode_requests.cancel()
        self._by_key.clear()

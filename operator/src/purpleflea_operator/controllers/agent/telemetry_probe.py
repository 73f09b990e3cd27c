"""Asks running agents for their drop counters: when an agent becomes ready, soon again, then every quarter of an hour.

The probe runs beside the workers with a bounded number of requests at a time, so an agent that does not answer does not
delay others. An agent that answers and drops nothing costs one pass when it is new, and no request to the API server. A
finding against an agent needs two observations. A finding in the status that another replica wrote is kept until then,
because a change of leader does not prove that the problem is gone.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import AgentClient, AgentUnreachableError
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.delivery import DOUBTFUL
from purpleflea_operator.controllers.agent.conditions.reasons import Delivery, TelemetryReason
from purpleflea_operator.controllers.agent.decisions.gather import condition
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.kube.object_cache import NamespacedName, owner_of
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workqueue import WorkQueue

AT_ONCE = 32
"""Those who do not answer take seconds; 10,000 of them must not keep new ones waiting."""


@dataclass(slots=True, kw_only=True)
class _Memory:
    key: NamespacedName
    address: str
    lost: Mapping[str, int] = field(default_factory=dict)
    answers: int = 0
    silent: int = 0
    finding: Delivery | None = Delivery.NEW


class TelemetryProbe:
    """What agents answered; `concern` is told which agent resource a new finding is about."""

    def __init__(
        self,
        agents: AgentClient,
        concern: Callable[[NamespacedName], None],
        *,
        jitter: Callable[[], float],
    ) -> None:
        self._agents = agents
        self._concern = concern
        self._jitter = jitter
        self._known: dict[str, _Memory] = {}
        self._recalled: dict[NamespacedName, str] = {}
        self._due: WorkQueue[str] = WorkQueue(jitter=jitter)

    def findings(self, uids: Iterable[str]) -> Mapping[str, str]:
        """What speaks against agents, by the uid of their pods."""
        known = {uid: self._known[uid].finding for uid in uids if uid in self._known}
        return {uid: finding for uid, finding in known.items() if finding is not None}

    def recall(self, agent: Manifest) -> None:
        """Take in what the status of an agent says before the first of its pods is noted."""
        key, told = owner_of(agent), condition(agent, ConditionType.TELEMETRY_READY)
        if key is not None and told:
            self._recalled[key] = told["reason"]

    def note(self, manifest: Manifest) -> None:
        """Take in a pod of an agent as it is now: who is not ready is not asked."""
        found, key = pod(dict(manifest)), owner_of(manifest)
        if key is None or not found.ready or found.deleting or not found.address:
            self.forget(found.uid)
        elif found.uid not in self._known:
            known = _Memory(key=key, address=found.address)
            known.finding = _before(self._recalled.get(key))
            self._known[found.uid] = known
            self._due.add_after(
                found.uid, 0.0 if known.finding else timings.PROBE_SECOND_S * self._jitter()
            )

    def forget(self, uid: str) -> None:
        """Take in that a pod is gone."""
        self._known.pop(uid, None)

    def sweep(self, alive: Iterable[str]) -> None:
        """Forget all pods but these."""
        for uid in self._known.keys() - set(alive):
            self.forget(uid)

    async def run(self) -> None:
        """Ask until cancelled."""
        # Who turns ready from now on is new, whatever was said of others.
        self._recalled.clear()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(self._ask_on(), name=f"listening-{number}")
        finally:
            self.close()

    def close(self) -> None:
        """Ask nobody any more."""
        self._due.close()

    async def _ask_on(self) -> None:
        while True:
            uid = await self._due.take()
            try:
                await self.ask(uid)
            finally:
                self._due.finish(uid)

    async def ask(self, uid: str) -> float | None:
        """Ask one agent; returns after how many seconds it is asked again, None where it is gone."""
        known = self._known.get(uid)
        if known is None:
            return None
        try:
            lost: Mapping[str, int] | None = await self._agents.losses(known.address)
        except AgentUnreachableError:
            lost = None
        if self._known.get(uid) is not known:
            return None
        before, known.finding = known.finding, _judged(known, lost)
        if known.finding is not before:
            self._concern(known.key)
        # Spread out: agents that were started together need not be asked together.
        pause_s = _pause_s(known, before) * (0.75 + self._jitter() / 2)
        self._due.add_after(uid, pause_s)
        return pause_s


def _before(reason: str | None) -> Delivery | None:
    """What to think of a pod that was there before, by what the status said of its agent."""
    if reason in DOUBTFUL:
        return Delivery.DOUBTED
    return None if reason == TelemetryReason.CONNECTED else Delivery.NEW


def _judged(known: _Memory, lost: Mapping[str, int] | None) -> Delivery | None:
    """What an answer, or none, comes to, with what is remembered."""
    if lost is None:
        known.silent += 1
        return Delivery.SILENT if known.silent > 1 else known.finding
    grown = known.answers and any(lost[name] > known.lost.get(name, 0) for name in lost)
    known.lost, known.silent = dict(lost), 0
    known.answers += 1
    if grown:
        return Delivery.LOST
    return Delivery.DOUBTED if known.finding is Delivery.DOUBTED and known.answers == 1 else None


def _pause_s(known: _Memory, before: Delivery | None) -> float:
    """How long to leave an agent alone after it was asked."""
    now = known.finding
    if now is Delivery.NEW:
        return timings.PROBE_RETRY_S
    if before is Delivery.NEW and now is None:
        return timings.PROBE_SECOND_S
    is_calm = now is None and not known.silent and not any(known.lost.values())
    is_settled = before is now and now in (Delivery.LOST, Delivery.SILENT)
    return timings.PROBE_INTERVAL_S if is_calm or is_settled else timings.PROBE_CONFIRM_S

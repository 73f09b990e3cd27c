"""Reads the status of running agents: when a pod becomes ready, after 30 s, and then every five minutes.

If the node agent of a pod that drops telemetry becomes ready, the pod is read at once and once more a moment later.

The status has the drop counters of telemetry, and the markets whose positions do not agree with the fills of the agent.
Pods that are not ready are passed to the readiness probe.

The probe runs beside the workers with a limited number of requests at a time, so an agent that does not respond does
not delay others. An agent that responds and drops nothing costs one pass when it is new, and no request to the API
server. A finding against an agent needs two observations. A finding in the status that another replica wrote is kept
until then, because a change of leader does not prove that the problem is gone.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from purpleflea_contract.status_report import StatusReport
from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import AgentClient, AgentUnreachableError
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import (
    PROBED_REASONS,
    Delivery,
)
from purpleflea_operator.controllers.agent.decisions.gather import condition
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.probe_workers import ProbeWorkers
from purpleflea_operator.controllers.agent.readiness_probe import ReadinessProbe
from purpleflea_operator.kube.object_cache import NamespacedName, owner_of
from purpleflea_operator.parsing import Manifest

WORKERS = 32
"""Concurrent probes. An agent that does not respond takes seconds, and 10,000 of them must not delay new agents."""


@dataclass(slots=True, kw_only=True)
class _ProbedPod:
    key: NamespacedName
    address: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Drop counters of the last response."""
    responses: int = 0
    failures: int = 0
    """Probes without a response since the last response."""
    finding: Delivery | None = Delivery.PENDING
    mismatches: tuple[str, ...] | None = None
    """Markets with a mismatch in the last response; None before the first."""


class TelemetryProbe:
    """The probed pods; `on_change` is called with the agent resource if a finding changes."""

    def __init__(
        self,
        agents: AgentClient,
        on_change: Callable[[NamespacedName], None],
        *,
        jitter: Callable[[], float],
    ) -> None:
        self._agents = agents
        self._on_change = on_change
        self._jitter = jitter
        self._pods: dict[str, _ProbedPod] = {}
        self._reported: dict[NamespacedName, str] = {}
        self._workers = ProbeWorkers(self.probe, count=WORKERS, name="probe", jitter=jitter)
        self._readiness = ReadinessProbe(agents, on_change, jitter=jitter)

    def not_ready(self, uids: Iterable[str]) -> Mapping[str, str]:
        """Return why pods are not ready, by UID; pods that are ready or were not asked yet are absent."""
        return self._readiness.reasons(uids)

    def mismatches(self, uids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return the markets with a mismatch, by UID of the pods that have answered; empty if there is none."""
        pods = {uid: self._pods[uid].mismatches for uid in uids if uid in self._pods}
        return {uid: markets for uid, markets in pods.items() if markets is not None}

    def findings(self, uids: Iterable[str]) -> Mapping[str, str]:
        """Return the findings against agents, by UID of their pods."""
        pods = {uid: self._pods[uid].finding for uid in uids if uid in self._pods}
        return {uid: finding for uid, finding in pods.items() if finding is not None}

    def restore(self, agent: Manifest) -> None:
        """Restore the finding in the status of an agent, before its first pod is added."""
        key, reported = owner_of(agent), condition(agent, ConditionType.TELEMETRY_READY)
        if key is not None and reported:
            self._reported[key] = reported["reason"]

    def upsert(self, manifest: Manifest) -> None:
        """Add or update a pod of an agent. The status is read from pods that are ready."""
        item, key = pod(dict(manifest)), owner_of(manifest)
        if key is not None:
            self._readiness.upsert(key, item)
        if key is None or not item.ready or item.deleting or not item.address:
            self._pods.pop(item.uid, None)
        elif item.uid not in self._pods:
            finding = _restored(self._reported.get(key))
            self._pods[item.uid] = _ProbedPod(key=key, address=item.address, finding=finding)
            delay_s = 0.0 if finding else timings.PROBE_SECOND_S * self._jitter()
            self._workers.add_after(item.uid, delay_s)

    def verify(self, uids: Iterable[str]) -> None:
        """Probe pods that drop telemetry again, because their node agent became ready. Earlier drops do not count."""
        for uid in uids:
            probed = self._pods.get(uid)
            if probed is not None and probed.finding is Delivery.DROPPING:
                self._pods[uid] = _ProbedPod(
                    key=probed.key,
                    address=probed.address,
                    finding=Delivery.UNVERIFIED,
                    mismatches=probed.mismatches,
                )
                self._workers.add(uid)

    def delete(self, uid: str) -> None:
        """Remove a pod."""
        self._pods.pop(uid, None)
        self._readiness.delete(uid)

    async def run(self) -> None:
        """Probe until canceled."""
        # Pods that become ready from now on are new, so the restored findings do not apply to them.
        self._reported.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._workers.run(), name="probes")
            group.create_task(self._readiness.run(), name="readiness")

    def close(self) -> None:
        """Cancel all pending probes."""
        self._workers.close()
        self._readiness.close()

    async def probe(self, uid: str) -> float | None:
        """Probe one pod; returns the seconds until its next probe, None if the pod is gone."""
        probed = self._pods.get(uid)
        if probed is None:
            return None
        try:
            report: StatusReport | None = await self._agents.status(probed.address)
        except AgentUnreachableError:
            report = None
        if self._pods.get(uid) is not probed:
            return None
        dropped = None if report is None else report.telemetry_dropped_by_signal
        before, probed.finding = probed.finding, _finding(probed, dropped)
        is_changed = report is not None and _take_mismatches(probed, report)
        if probed.finding is not before or is_changed:
            self._on_change(probed.key)
        # Jittered, so that agents that started together are not probed together.
        pause_s = _pause_s(probed, before) * (0.75 + self._jitter() / 2)
        self._workers.add_after(uid, pause_s)
        return pause_s


def _restored(reason: str | None) -> Delivery | None:
    """Return the finding for a pod of an agent with this reason in its status."""
    if reason in PROBED_REASONS:
        return Delivery.UNVERIFIED
    return None if reason == Reason.CONNECTED else Delivery.PENDING


def _take_mismatches(probed: _ProbedPod, report: StatusReport) -> bool:
    """Take the mismatches of a response; return whether they are news. The first response often has none."""
    before, probed.mismatches = probed.mismatches, tuple(sorted(report.position_mismatches))
    return probed.mismatches != (before or ())


def _finding(probed: _ProbedPod, dropped: Mapping[str, int] | None) -> Delivery | None:
    """Update the counters with a response, None if there was none, and return the new finding."""
    if dropped is None:
        probed.failures += 1
        return Delivery.UNREACHABLE if probed.failures > 1 else probed.finding
    before = probed.dropped
    has_grown = probed.responses and any(dropped[name] > before.get(name, 0) for name in dropped)
    probed.dropped, probed.failures = dict(dropped), 0
    probed.responses += 1
    if has_grown:
        return Delivery.DROPPING
    is_unconfirmed = probed.finding is Delivery.UNVERIFIED and probed.responses == 1
    return Delivery.UNVERIFIED if is_unconfirmed else None


def _pause_s(probed: _ProbedPod, before: Delivery | None) -> float:
    """Return the seconds until the next probe, without jitter."""
    now = probed.finding
    if now is Delivery.PENDING:
        return timings.PROBE_RETRY_S
    if before is Delivery.PENDING and now is None:
        return timings.PROBE_SECOND_S
    if now is Delivery.UNVERIFIED and not probed.failures:
        return timings.PROBE_SERVED_S
    if now is Delivery.UNREACHABLE:
        # The interval grows, because each request to a pod that does not respond takes the whole timeout.
        rounds = min(probed.failures - 2, 10)
        return min(timings.PROBE_INTERVAL_S, timings.PROBE_CONFIRM_S * 2.0**rounds)
    is_healthy = now is None and not probed.failures and not any(probed.dropped.values())
    is_healthy = is_healthy and not probed.mismatches
    return timings.PROBE_INTERVAL_S if is_healthy else timings.PROBE_CONFIRM_S

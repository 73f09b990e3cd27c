"""Reads why a running agent is not ready, because the kubelet reports only that its readiness probe fails.

Only a pod that is started and not ready is asked, after it had time to become ready, and then at intervals. A fleet
that is ready costs nothing. The result is kept in memory; decisions about it are in `conditions.workload_available`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import AgentClient, AgentUnreachableError
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod
from purpleflea_operator.controllers.agent.probe_workers import ProbeWorkers
from purpleflea_operator.kube.object_cache import NamespacedName

WORKERS = 8
"""Concurrent requests. If 1,000 agents are unready and silent, each is asked about every five minutes."""


@dataclass(slots=True, kw_only=True)
class _UnreadyPod:
    key: NamespacedName
    address: str
    reason: str | None = None
    """The reason of the agent; empty if it gives none or does not answer. None if it was not asked yet."""


class ReadinessProbe:
    """The pods that are not ready; `on_change` is called with the agent resource if the reason of one changes."""

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
        self._pods: dict[str, _UnreadyPod] = {}
        self._workers = ProbeWorkers(self.probe, count=WORKERS, name="readiness", jitter=jitter)

    def reasons(self, uids: Iterable[str]) -> Mapping[str, str]:
        """Return the reasons of the pods that were asked, by UID; empty if an agent gives none."""
        pods = {uid: self._pods[uid].reason for uid in uids if uid in self._pods}
        return {uid: reason for uid, reason in pods.items() if reason is not None}

    def upsert(self, key: NamespacedName, item: AgentPod) -> None:
        """Add or remove a pod. A container that does not run yet cannot answer."""
        if item.ready or item.deleting or not item.address or not item.started:
            self.delete(item.uid)
        elif item.uid not in self._pods:
            self._pods[item.uid] = _UnreadyPod(key=key, address=item.address)
            self._workers.add_after(item.uid, timings.READINESS_FIRST_S)

    def delete(self, uid: str) -> None:
        """Remove a pod."""
        self._pods.pop(uid, None)

    async def run(self) -> None:
        """Ask until canceled."""
        await self._workers.run()

    def close(self) -> None:
        """Cancel all pending requests."""
        self._workers.close()

    async def probe(self, uid: str) -> float | None:
        """Ask one pod; return the seconds until it is asked again, None if it is gone or ready."""
        unready = self._pods.get(uid)
        if unready is None:
            return None
        try:
            reason = await self._agents.not_ready_reason(unready.address) or ""
        except AgentUnreachableError:
            reason = ""
        if self._pods.get(uid) is not unready:
            return None
        before, unready.reason = unready.reason, reason
        if reason != before and (reason or before):
            self._on_change(unready.key)
        pause_s = timings.READINESS_INTERVAL_S * (0.75 + self._jitter() / 2)
        self._workers.add_after(uid, pause_s)
        return pause_s

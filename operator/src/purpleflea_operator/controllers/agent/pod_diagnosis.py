"""Explanations from Events for pods that do not start or are not created, because their status does not have them.

A missing Secret is reported in an Event about the pod. A missing ServiceAccount, an exceeded quota and a violated pod
security level are reported in Events about the StatefulSet. Events are read only while pods are stuck or missing, and
at most every timings.DIAGNOSIS_INTERVAL_S for each agent.
"""

from collections.abc import Callable
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory, EventMessage
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    PassOutcome,
    is_being_created,
    pods_are_missing,
    stuck_pod,
)
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.parsing import MESSAGE_LIMIT, Manifest, text, timestamp


class PodDiagnosis:
    """Reads Events, and keeps the newest message in the memory of the agent."""

    def __init__(self, cluster: KubeClient, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now

    async def read(
        self, namespace: str, observed: ObservedState, outcome: PassOutcome, memory: AgentMemory
    ) -> None:
        """Add the Events about the first stuck pod to the outcome; if no pod is stuck, those about missing pods."""
        stuck = stuck_pod(observed.pods, self._now(), after_s=timings.POD_STUCK_AFTER_S)
        if stuck is not None:
            message = await self._message(namespace, memory, stuck.uid, "FailedMount")
            outcome.pod_events = (message,) if message else ()
            return
        stateful_set, since = outcome.stateful_set, observed.unavailable_since
        is_missing = pods_are_missing(stateful_set, observed.pods)
        if stateful_set is None or since is None or not is_missing:
            memory.event_message = None
            return
        # Older Events belong to a problem that is over.
        earliest = since - timings.EVENT_MARGIN
        uid = stateful_set["metadata"]["uid"]
        outcome.pod_creation_error = await self._message(
            namespace, memory, uid, "FailedCreate", earliest=earliest
        )

    async def _message(
        self,
        namespace: str,
        memory: AgentMemory,
        uid: str,
        reason: str,
        *,
        earliest: datetime | None = None,
    ) -> str:
        """Return the newest message about an object with this reason; empty if there is none."""
        now, known = self._now(), memory.event_message
        if known is not None and known.uid == uid and not _is_outdated(known, now):
            return known.text
        events = await self._cluster.events_about(namespace, uid=uid)
        messages = [
            text(item.get("message"), limit=MESSAGE_LIMIT)
            for item in events
            if _matches(item, reason, earliest)
        ]
        newest = messages[-1] if messages else ""
        memory.event_message = EventMessage(uid=uid, text=newest, read_at=now)
        return newest


def _is_outdated(message: EventMessage, now: datetime) -> bool:
    return (now - message.read_at).total_seconds() >= timings.DIAGNOSIS_INTERVAL_S


def _matches(item: Manifest, reason: str, earliest: datetime | None) -> bool:
    last = timestamp(item.get("lastTimestamp"))
    is_old = earliest is not None and last is not None and last < earliest
    return item.get("reason") == reason and not is_old


def requeue_after_s(observed: ObservedState) -> float | None:
    """Return the seconds until the next read of Events or the next attempt of a rejected write.

    No event of the watches reports that a stuck pod has an explanation, or that a rejected write would succeed now.
    """
    is_stuck = any(is_being_created(item) for item in observed.pods)
    if not is_stuck and not pods_are_missing(observed.stateful_set, observed.pods):
        return timings.REFUSED_PODS_INTERVAL_S if observed.failure else None
    is_explained = observed.pod_events or observed.pod_creation_error
    return timings.DIAGNOSIS_INTERVAL_S if is_explained else timings.POD_STUCK_AFTER_S

"""Explanations from Events for pods that do not start or are not created, because their status does not have them.

A missing Secret is reported in an Event about the pod. A missing ServiceAccount, an exceeded quota and a violated pod
security level are reported in Events about the StatefulSet. Events are read only while pods are stuck or missing, and
at most every timings.DIAGNOSIS_INTERVAL_S for each agent. No pass waits for a read: a later pass reports the result.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory, EventMessage
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    PassOutcome,
    is_being_created,
    pods_are_missing,
    stuck_pod,
)
from purpleflea_operator.controllers.agent.event_lists import EventLists, SharedEvent
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.parsing import timestamp

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """The Events that explain one problem."""

    uid: str
    """UID of the object that the Events are about."""
    reason: str
    earliest: datetime | None = None


class PodDiagnosis:
    """Reads Events, and keeps the newest message in the memory of the agent.

    `on_read` is called with an agent if its explanation changes.
    """

    def __init__(
        self,
        cluster: KubeClient,
        on_read: Callable[[NamespacedName], None],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._lists = EventLists(cluster, now=now)
        self._on_read = on_read
        self._now = now
        self._reads: dict[NamespacedName, asyncio.Task[None]] = {}

    def close(self) -> None:
        """Cancel all reads."""
        for task in list(self._reads.values()):
            task.cancel()

    def explain(
        self,
        key: NamespacedName,
        observed: ObservedState,
        outcome: PassOutcome,
        memory: AgentMemory,
    ) -> None:
        """Add the explanation of the first stuck pod to the outcome; if no pod is stuck, that of missing pods.

        If the explanation is outdated, a read is started.
        """
        stuck = stuck_pod(observed.pods, self._now(), after_s=timings.POD_STUCK_AFTER_S)
        if stuck is not None:
            message = self._message(key, memory, _Question(uid=stuck.uid, reason="FailedMount"))
            outcome.pod_events = (message,) if message else ()
            return
        stateful_set, since = outcome.stateful_set, observed.unavailable_since
        is_missing = pods_are_missing(stateful_set, observed.pods)
        if stateful_set is None or since is None or not is_missing:
            memory.event_message = None
            return
        question = _Question(
            uid=stateful_set["metadata"]["uid"],
            reason="FailedCreate",
            # Older Events belong to a problem that is over.
            earliest=since - timings.EVENT_MARGIN,
        )
        outcome.pod_creation_error = self._message(key, memory, question)

    def _message(self, key: NamespacedName, memory: AgentMemory, question: _Question) -> str:
        """Return the last message that was read for a question; empty if there is none."""
        known = memory.event_message
        if known is not None and known.uid != question.uid:
            known = None
        if (known is None or self._is_outdated(known)) and key not in self._reads:
            task = asyncio.create_task(self._read(key, memory, question), name="pod-diagnosis")
            self._reads[key] = task
            task.add_done_callback(lambda _: self._reads.pop(key, None))
        return "" if known is None else known.text

    def _is_outdated(self, message: EventMessage) -> bool:
        age_s = (self._now() - message.read_at).total_seconds()
        return age_s >= timings.DIAGNOSIS_INTERVAL_S

    async def _read(self, key: NamespacedName, memory: AgentMemory, question: _Question) -> None:
        newest, pause_s = await self._newest(key, question)
        known = memory.event_message
        old = known.text if known is not None and known.uid == question.uid else ""
        current = old if newest is None else newest
        read_at = self._now() + timedelta(seconds=pause_s)
        memory.event_message = EventMessage(uid=question.uid, text=current, read_at=read_at)
        if current != old:
            self._on_read(key)

    async def _newest(self, key: NamespacedName, question: _Question) -> tuple[str | None, float]:
        """Return the newest message, None if the Events cannot be read, and an additional pause in seconds."""
        try:
            events = await self._lists.about(
                key.namespace, reason=question.reason, uid=question.uid
            )
        except errors.ApiError as error:
            logger.warning(
                "the Events about a pod cannot be read; the conditions lack its explanation",
                extra={"namespace": key.namespace, "agent": key.name, "error": str(error)},
            )
            return None, max(0.0, error.retry_after_s - timings.DIAGNOSIS_INTERVAL_S)
        messages = [item.message for item in events if _is_current(item, question)]
        return (messages[-1] if messages else ""), 0.0


def _is_current(item: SharedEvent, question: _Question) -> bool:
    last, earliest = timestamp(item.last), question.earliest
    return earliest is None or last is None or last >= earliest


def requeue_after_s(observed: ObservedState) -> float | None:
    """Return the seconds until the next read of Events or the next attempt of a rejected write.

    No event of the watches reports that a stuck pod has an explanation, or that a rejected write would succeed now.
    """
    is_stuck = any(is_being_created(item) for item in observed.pods)
    if not is_stuck and not pods_are_missing(observed.stateful_set, observed.pods):
        return timings.REFUSED_PODS_INTERVAL_S if observed.failure else None
    is_explained = observed.pod_events or observed.pod_creation_error
    return timings.DIAGNOSIS_INTERVAL_S if is_explained else timings.POD_STUCK_AFTER_S

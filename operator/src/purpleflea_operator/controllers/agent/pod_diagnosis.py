"""Why pods hang, or are not made, where their status does not say: it shows only in events.

A missing Secret is told about the pod, a missing ServiceAccount, a quota or a refused security context about the
StatefulSet. They are asked for only while something hangs, and at most every timings.DIAGNOSIS_INTERVAL_S per agent.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    is_being_created,
    pods_are_missing,
    stuck_pod,
)
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.parsing import MESSAGE_LIMIT, Manifest, moment, text


class PodDiagnosis:
    """Adds what the events say to the world; remembers it for a while."""

    def __init__(self, cluster: KubeClient, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._known: dict[NamespacedName, tuple[datetime, str, str]] = {}

    def forget(self, key: NamespacedName) -> None:
        """Forget what was found about an agent."""
        self._known.pop(key, None)

    async def explained(self, world: ObservedState, key: NamespacedName) -> ObservedState:
        """The world with what the events say about the first pod that hangs, else about those that are missing."""
        now = self._now()
        stuck = stuck_pod(world.pods, now, after_s=timings.POD_STUCK_AFTER_S)
        if stuck is not None:
            text = await self._told(key, stuck.uid, "FailedMount")
            return replace(world, pod_events=(text,) if text else ())
        since = world.unavailable_since
        if world.stateful_set is not None and since is not None and pods_are_missing(world):
            # What was told long before belongs to a trouble that is over.
            uid = world.stateful_set["metadata"]["uid"]
            text = await self._told(key, uid, "FailedCreate", since=since - timings.EVENT_MARGIN)
            return replace(world, pods_refused=text)
        self.forget(key)
        return world

    async def _told(
        self, key: NamespacedName, uid: str, reason: str, *, since: datetime | None = None
    ) -> str:
        """The newest message about an object for this reason; empty where there is none."""
        now = self._now()
        known = self._known.get(key)
        if (
            known is None
            or known[1] != uid
            or (now - known[0]).total_seconds() >= timings.DIAGNOSIS_INTERVAL_S
        ):
            found = await self._cluster.events_about(key.namespace, uid=uid)
            told = [
                text(item.get("message"), limit=MESSAGE_LIMIT)
                for item in found
                if _counts(item, reason, since)
            ]
            known = self._known[key] = (now, uid, told[-1] if told else "")
        return known[2]


def _counts(item: Manifest, reason: str, since: datetime | None) -> bool:
    last = moment(item.get("lastTimestamp"))
    is_old = since is not None and last is not None and last < since
    return item.get("reason") == reason and not is_old


def look_again_after_s(world: ObservedState) -> float | None:
    """What hangs sends no event when it is found out why: look again. A refused write is tried again."""
    hangs = any(is_being_created(item) for item in world.pods)
    if not hangs and not pods_are_missing(world):
        return timings.REFUSED_PODS_INTERVAL_S if world.failure else None
    return (
        timings.DIAGNOSIS_INTERVAL_S
        if world.pod_events or world.pods_refused
        else timings.POD_STUCK_AFTER_S
    )

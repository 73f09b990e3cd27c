"""Why a pod hangs whose status does not say: a missing Secret or ConfigMap shows only in the pod's events.

They are asked for only while a pod hangs, and at most every DIAGNOSE_AGAIN_S per agent.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from purpleflea_operator.cluster import kinds
from purpleflea_operator.cluster.cache import Key
from purpleflea_operator.cluster.kinds import Ref
from purpleflea_operator.cluster.port import Cluster
from purpleflea_operator.reconcile.world import World, is_being_created, stuck_pod

STUCK_AFTER_S = 5.0
DIAGNOSE_AGAIN_S = 10.0
REFUSED_AGAIN_S = 60.0
"""A quota that has room again, or a name that is free again, sends no event."""


class Diagnosis:
    """Adds what the events say to the world; remembers it for a while."""

    def __init__(self, cluster: Cluster, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._known: dict[Key, tuple[datetime, tuple[str, ...]]] = {}

    def forget(self, key: Key) -> None:
        """Forget what was found about an agent."""
        self._known.pop(key, None)

    async def explained(self, world: World, key: Key) -> World:
        """The world with the events of the first pod that hangs."""
        now = self._now()
        stuck = stuck_pod(world.pods, now, after_s=STUCK_AFTER_S)
        if stuck is None:
            self.forget(key)
            return world
        known = self._known.get(key)
        if known is None or (now - known[0]).total_seconds() >= DIAGNOSE_AGAIN_S:
            ref = Ref(kind=kinds.POD, namespace=key.namespace, name=stuck.name)
            found = await self._cluster.pod_events(ref, uid=stuck.uid)
            messages = [item["message"] for item in found if item.get("reason") == "FailedMount"]
            known = self._known[key] = (now, tuple(messages[-1:]))
        return replace(world, pod_events=known[1])


def look_again_after_s(world: World) -> float | None:
    """A pod that hangs sends no event when the kubelet finds out why: look again. A refused write is tried again."""
    waits = any(is_being_created(item) for item in world.pods)
    if not waits:
        return REFUSED_AGAIN_S if world.failure else None
    return DIAGNOSE_AGAIN_S if world.pod_events else STUCK_AFTER_S

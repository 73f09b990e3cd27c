"""Pods of an agent that the watch does not report any more although they run, because a label was removed.

Such a pod may trade, and it does not receive a halt. The control lane finds it by its name, and restores its labels, so
that the watch reports it again. Only agents that must not trade are searched.
"""

import logging
from collections.abc import Callable

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory
from purpleflea_operator.controllers.agent.decisions.gather import is_identity
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache, owner_of
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.manifests.metadata import constant_labels

logger = logging.getLogger(__name__)


class HiddenPods:
    """Finds hidden pods. `clock` returns monotonic seconds."""

    def __init__(
        self, cluster: KubeClient, cache: ObjectCache, *, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock

    async def search(self, key: NamespacedName, memory: AgentMemory) -> float | None:
        """Search the pods that have been missing for a moment. Return the seconds until the next search.

        Raises:
            ApiError: A request failed.
        """
        for name, due_s in sorted(memory.unseen.items()):
            if due_s <= self._clock():
                await self._search_one(key, name, memory)
        waits = [due_s - self._clock() for due_s in memory.unseen.values()]
        return max(0.0, min(waits)) if waits else None

    async def _search_one(self, key: NamespacedName, name: str, memory: AgentMemory) -> None:
        ref = ObjectRef(kind=resources.POD, namespace=key.namespace, name=name)
        live = await self._cluster.find(ref)
        if live is None or not is_identity(live, key.name):
            memory.unseen.pop(name, None)
            return
        if "deletionTimestamp" in live["metadata"]:
            memory.unseen[name] = self._clock() + timings.UNSEEN_POD_RETRY_S
            return
        labels, uid = constant_labels(key.name), live["metadata"]["uid"]
        try:
            stored = await self._cluster.set_labels(ref, labels, uid=uid)
        except (errors.Conflict, errors.NotFound):
            # The pod was replaced in the meantime.
            return
        if owner_of(stored) != key:
            raise errors.Invalid(
                f"the labels of pod {name} are removed again, so the pod may not receive the mode; correct the "
                "admission webhook that changes them"
            )
        memory.unseen.pop(name, None)
        self._cache.put(stored)
        logger.warning("labels of a pod restored", extra={"namespace": key.namespace, "pod": name})

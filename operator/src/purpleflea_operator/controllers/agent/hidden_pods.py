"""Pods of an agent that may run although the watch does not report them.

The watch can be behind without an error, or a label of a pod was removed. Such a pod may trade, and it does not receive
a halt. The control lane reads it by its name. If its labels are missing, it restores them, so that the watch reports
the pod again. Only agents that must not trade are searched, and each name is read once after the mode was written. If
the labels are not stored, or the write is rejected, the write ledger decides when it is tried again. Until then the pod
is only read.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory, ModeRequests
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.gather import is_identity, is_watched
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.controllers.agent.decisions.write_ledger import digest
from purpleflea_operator.controllers.agent.mode_acknowledgements import remember_mount
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.manifests.metadata import constant_labels
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)

CONCURRENT_READS = 16
"""Pods of one agent that are read at a time. The next ones are read after the lane has looked for a newer mode."""


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

        The ConfigMap has the mode, so a pod that is created later starts with it. A pod that has mounted its volumes
        already can start with the former mode; it must acknowledge when it runs.

        Raises:
            ApiError: A request failed.
        """
        due = sorted(name for name, due_s in memory.unseen.items() if due_s <= self._clock())
        reads = (self._search_one(key, name, memory) for name in due[:CONCURRENT_READS])
        for result in await asyncio.gather(*reads, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        waits = [due_s - self._clock() for due_s in memory.unseen.values()]
        return max(0.0, min(waits)) if waits else None

    async def _search_one(self, key: NamespacedName, name: str, memory: AgentMemory) -> None:
        ref = ObjectRef(kind=resources.POD, namespace=key.namespace, name=name)
        requests = memory.mode_requests
        try:
            live = await self._cluster.find(ref)
        except errors.Forbidden:
            # Only an administrator can end this, and no event reports it.
            memory.unseen[name] = self._clock() + timings.UNSEEN_POD_CHECK_S
            return
        if live is None or not is_identity(live, key.name) or _is_waiting(live, key.name):
            memory.unseen.pop(name, None)
            memory.unrestored.pop(name, None)
            if requests is not None:
                self._confirm(key, name, live, requests)
            return
        memory.unseen[name] = self._clock() + timings.UNSEEN_POD_RETRY_S
        if is_watched(live, key.name):
            # The watch is behind. The pod is not searched any more when it is cached, and must acknowledge the mode.
            self._cache.put(live)
        elif "deletionTimestamp" not in live["metadata"]:
            await self._restore_labels(ref, live, memory)

    def _confirm(
        self, key: NamespacedName, name: str, live: Manifest | None, requests: ModeRequests
    ) -> None:
        """Remember that a pod does not run, and whether it may start with an earlier control file."""
        requests.confirmed.add(name)
        is_own = live is not None and is_identity(live, key.name)
        remember_mount(requests, name, live if is_own else None)
        if live is not None and requests.mounted[name] == live["metadata"]["uid"]:
            self._cache.put(live)

    async def _restore_labels(self, ref: ObjectRef, live: Manifest, memory: AgentMemory) -> None:
        agent = ref.name.rpartition("-")[0]
        wanted = _labelled(ref, constant_labels(agent))
        failure = self._failure(wanted, live, memory)
        if failure is None:
            failure = await self._restore(ref, wanted, live["metadata"]["uid"], memory)
        if failure is not None:
            memory.unrestored[ref.name] = failure
            memory.unseen[ref.name] = self._clock() + timings.UNSEEN_POD_CHECK_S

    def _failure(
        self, wanted: Manifest, live: Manifest, memory: AgentMemory
    ) -> WriteFailure | None:
        """Return why the labels must not be written now, because the last writes failed or did not last."""
        target, now_s = _target(wanted), self._clock()
        rejected = memory.label_writes.rejected(target, digest(wanted), now_s)
        return rejected or memory.label_writes.contested(wanted, live, now_s)

    async def _restore(
        self, ref: ObjectRef, wanted: Manifest, uid: str, memory: AgentMemory
    ) -> WriteFailure | None:
        """Write the labels. Return why the API server rejects them; None if it does not."""
        try:
            stored = await self._cluster.set_labels(ref, wanted["metadata"]["labels"], uid=uid)
        except (errors.Conflict, errors.NotFound):
            # The pod was replaced in the meantime.
            return None
        except (errors.Forbidden, errors.Invalid) as error:
            failure = WriteFailure(target=_target(wanted), text=str(error))
            memory.label_writes.record_rejected(
                failure.target, digest(wanted), failure, self._clock()
            )
            return failure
        if memory.label_writes.record_stored(wanted, stored, self._clock()):
            memory.unseen.pop(ref.name, None)
            memory.unrestored.pop(ref.name, None)
            self._cache.put(stored)
            logger.warning(
                "labels of a pod restored", extra={"namespace": ref.namespace, "pod": ref.name}
            )
        return None


def _is_waiting(manifest: Manifest, agent: str) -> bool:
    """Return whether a pod is watched and did not run yet."""
    return is_watched(manifest, agent) and not trading_mode.has_run(pod(dict(manifest)))


def _labelled(ref: ObjectRef, labels: Mapping[str, str]) -> Manifest:
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": labels}
    return {"kind": ref.kind.kind, "metadata": metadata}


def _target(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"

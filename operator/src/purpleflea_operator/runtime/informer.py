"""The upkeep of the cache: first lists, watch events, and sweeps after a watch had to start over.

kopf brings the events; which agents they concern is decided here, at O(1) each. A re-list by kopf is reported as a
burst of events without a type, and what was deleted meanwhile is never reported: hence a sweep (one list) after it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.cluster import errors, kinds
from purpleflea_operator.cluster.cache import Cache, Key, owner_of
from purpleflea_operator.cluster.kinds import Kind, Manifest, Ref
from purpleflea_operator.cluster.port import Cluster
from purpleflea_operator.cluster.scope import CLUSTER_WIDE, Scope
from purpleflea_operator.detect.facts import NO_DATADOG, DatadogFacts
from purpleflea_operator.detect.node_agent import datadog_facts, installer_of
from purpleflea_operator.reconcile.identities import Claim, Identities
from purpleflea_operator.reconcile.world import pod
from purpleflea_operator.runtime.queue import Queue
from purpleflea_operator.runtime.tally import Tally

logger = logging.getLogger(__name__)

SWEEP_DELAY_S = 3.0
SELECTOR = f"{kubernetes.LABEL_MANAGED_BY}={kubernetes.MANAGED_BY}"
WATCHED = (kinds.AGENT, *kinds.CHILDREN, kinds.POD, kinds.CLAIM, kinds.DAEMON_SET)


class Informer:
    """Keeps the cache and the Datadog facts current, and puts the agents concerned in line."""

    def __init__(
        self, cluster: Cluster, cache: Cache, queue: Queue[Key], scope: Scope = CLUSTER_WIDE
    ) -> None:
        self.watched = scope.seen(WATCHED)
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self.tally = Tally()
        self.identities = Identities()
        self.on_workload: Callable[[], None] = lambda: None
        """Called when the workload of an agent changed."""
        self._facts = NO_DATADOG
        self._services: dict[str, bool] = {}
        self._sweeps: Queue[Kind] = Queue(jitter=lambda: 0.0)
        self._datadog_changed = asyncio.Event()

    def facts(self) -> DatadogFacts:
        """What is known about the Datadog node agent."""
        return self._facts

    async def prime(self) -> None:
        """Fill the cache before anything is reconciled.

        Raises:
            ApiError: A kind could not be listed.
        """
        for kind in self.watched:
            found, _ = await self._cluster.list_all(kind, selector=_selector(kind))
            for manifest in found:
                self._cache.put(manifest)
                self._count(kind, manifest)
        await self._observe_datadog()
        for key in self._cache.agent_keys():
            self._queue.add(key)
        for manifest in self._cache.all(kinds.POD):
            # Left behind by an agent that was deleted while its StatefulSet was made anew.
            if not pod(manifest).is_controlled and (owner := owner_of(manifest)):
                self._queue.add(owner)

    def on_event(self, kind: Kind, event_type: str | None, manifest: Manifest) -> None:
        """Take in one watch event."""
        if event_type is None:
            self._sweeps.add_after(kind, SWEEP_DELAY_S)
        if event_type == "DELETED":
            self._forget(kind, manifest["metadata"]["uid"])
            self._concern(kind, self._cache.bury(kind, manifest["metadata"]["uid"]))
            return
        if self._cache.is_outdated(manifest):
            return
        # Also what the cache knows already: our own writes come by here only as their echo.
        self._count(kind, manifest)
        if self._cache.put(manifest):
            self._concern(kind, owner_of(manifest))

    async def run(self) -> None:
        """Follow changes of the node agent, and sweep, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_datadog(), name="datadog")
            group.create_task(self._sweep_forever(), name="sweeps")

    def _count(self, kind: Kind, manifest: Manifest) -> None:
        if kind is kinds.AGENT:
            self.tally.note(manifest)
            self._call(self.identities.note(manifest))

    def _forget(self, kind: Kind, uid: str) -> None:
        if kind is kinds.AGENT:
            self.tally.drop(uid)
            self._call(self.identities.drop(uid))

    def _call(self, claims: Iterable[Claim]) -> None:
        """Put agents in line whose identities became free, or no longer are."""
        for claim in claims:
            self._queue.add(Key(claim.namespace, claim.name))

    def _concern(self, kind: Kind, key: Key | None) -> None:
        if kind is kinds.DAEMON_SET:
            self._datadog_changed.set()
        elif key is not None:
            self._queue.add(key)
        if kind is kinds.STATEFUL_SET:
            self.on_workload()

    async def _follow_datadog(self) -> None:
        while True:
            await self._datadog_changed.wait()
            self._datadog_changed.clear()
            try:
                changed = await self._observe_datadog()
            except errors.ApiError as error:
                logger.warning("the node agent's Service is unknown", extra={"error": str(error)})
                changed = False
            if changed:
                for key in self._cache.agent_keys():
                    self._queue.add(key)

    async def _observe_datadog(self) -> bool:
        """Compute the facts again; whether they changed."""
        candidates = [
            item for item in self._cache.all(kinds.DAEMON_SET) if installer_of(item) is not None
        ]
        services = set()
        for item in candidates:
            if await self._has_service(item):
                services.add((item["metadata"]["namespace"], item["metadata"]["name"]))
        facts = datadog_facts(candidates, frozenset(services))
        changed, self._facts = facts != self._facts, facts
        return changed

    async def _has_service(self, daemon_set: dict[str, Any]) -> bool:
        """Whether the node-local Service exists; asked once per version of the DaemonSet's spec."""
        metadata = daemon_set["metadata"]
        known = f"{metadata['uid']}/{metadata.get('generation', 0)}"
        if not self._services.get(known, False):
            ref = Ref(kind=kinds.SERVICE, namespace=metadata["namespace"], name=metadata["name"])
            self._services[known] = await self._cluster.get(ref) is not None
        return self._services[known]

    async def _sweep_forever(self) -> None:
        while True:
            kind = await self._sweeps.take()
            try:
                found, version = await self._cluster.list_all(kind, selector=_selector(kind))
                alive = [item["metadata"]["uid"] for item in found]
                for manifest in found:
                    self.on_event(kind, "MODIFIED", manifest)
                for key in self._cache.sweep(kind, alive, version=int(version)):
                    self._concern(kind, key)
                if kind is kinds.AGENT:
                    self.tally.keep_only(alive)
                    self._call(self.identities.keep_only(alive))
                if kind is kinds.DAEMON_SET:
                    self._datadog_changed.set()
            except errors.ApiError as error:
                logger.warning("sweeping is tried again", extra={"error": str(error)})
                self._sweeps.retry(kind, hold_s=error.retry_after_s)
            finally:
                self._sweeps.finish(kind)


def _selector(kind: Kind) -> str:
    return SELECTOR if kind.labelled else ""

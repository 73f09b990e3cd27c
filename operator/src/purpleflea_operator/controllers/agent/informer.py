"""The upkeep of the cache: first lists, watch events, and sweeps after a watch had to start over.

kopf brings the events; which agents they concern is decided here, at O(1) each. A re-list by kopf is reported as a
burst of events without a type, and what was deleted meanwhile is never reported: hence a sweep (one list) after it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.datadog_discovery import DatadogDiscovery
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    IdentityClaim,
    IdentityIndex,
)
from purpleflea_operator.controllers.agent.decisions.gather import is_owned
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.fleet_totals import FleetTotals
from purpleflea_operator.controllers.agent.node_inventory import (
    KINDS,
    InventoryChange,
    NodeInventory,
    PodsByNode,
)
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache, owner_of
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, resource_version, table
from purpleflea_operator.runtime.containment import Containment, check_identity, uids
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

SELECTOR = f"{kubernetes.LABEL_MANAGED_BY}={kubernetes.MANAGED_BY}"
WATCHED = (
    resources.AGENT,
    *resources.CHILDREN,
    resources.POD,
    resources.CLAIM,
    resources.DAEMON_SET,
    *KINDS,
)
# Pods of agents and of node agents: one watch per kind, and a selector cannot say "or" across labels.
POD_SELECTOR = f"{kubernetes.LABEL_COMPONENT} in (agent,trading-agent)"


class Informer:
    """Keeps the cache current, and puts the agents concerned in line."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        queue: WorkQueue[NamespacedName],
        terrain: NodeInventory,
        listening: TelemetryProbe,
    ) -> None:
        self.watched = terrain.scope.seen(WATCHED)
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._terrain = terrain
        self._places = PodsByNode()
        self._listening = listening
        terrain.turns.concern = queue.add
        self.tally = FleetTotals()
        self.identities = IdentityIndex(self._runs)
        self.on_workload: Callable[[], None] = lambda: None
        """Called when the workload of an agent changed."""
        self._sweeps: WorkQueue[ResourceKind] = WorkQueue(jitter=lambda: 0.0)
        self._losses: WorkQueue[str] = WorkQueue(jitter=lambda: 0.0)
        self._containment = Containment()
        self._installation = DatadogDiscovery(cluster, cache, terrain)

    async def prime(self) -> None:
        """Fill the cache before anything is reconciled.

        Raises:
            ApiError: A kind could not be listed.
        """
        for kind in self.watched:
            found, _ = await self._cluster.list_all(kind, selector=selector_of(kind))
            for manifest in found:
                with self._containment.of(kind, manifest):
                    self._prime(kind, manifest)
        await self._installation.observe()
        self._call_all()
        for manifest in self._cache.all(resources.POD):
            # Left behind by an agent that was deleted while its StatefulSet was made anew.
            with self._containment.of(resources.POD, manifest):
                if not pod(manifest).is_controlled and (owner := owner_of(manifest)):
                    self._queue.add(owner)

    def _prime(self, kind: ResourceKind, manifest: Manifest) -> None:
        check_identity(manifest)
        if _is_terrain(kind, manifest):
            self._terrain.note(kind, manifest)
            return
        if kind is resources.AGENT:
            self._listening.recall(manifest)
        self._cache.put(manifest)
        self._count(kind, manifest)

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """TryAcquire in one watch event; an object that cannot be read is left out."""
        if event_type is None:
            self._sweeps.add_after(kind, timings.SWEEP_DELAY_S)
        with self._containment.of(kind, manifest):
            self._take_in(kind, event_type, manifest)

    def _take_in(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        check_identity(manifest)
        uid, is_gone = manifest["metadata"]["uid"], event_type == "DELETED"
        if _is_terrain(kind, manifest):
            terrain = self._terrain
            self._reach(terrain.forget(kind, uid) if is_gone else terrain.note(kind, manifest))
            return
        if is_gone:
            self._forget(kind, uid)
            self._leave(kind, self._cache.bury(kind, uid))
            return
        if self._cache.is_outdated(manifest):
            return
        # Also what the cache knows already: our own writes come by here only as their echo.
        with self._containment.of(kind, manifest):
            self._count(kind, manifest)
        if self._cache.put(manifest):
            self._concern(kind, owner_of(manifest))

    async def run(self) -> None:
        """Follow changes of the node agent, and sweep, until cancelled."""
        for kind in self.watched:
            # What went between the first list and kopf's own is never reported, if none of its kind is left.
            self._sweeps.add_after(kind, timings.SWEEP_DELAY_S)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._installation.follow(self._call_all), name="datadog")
            group.create_task(self._sweep_forever(), name="sweeps")
            group.create_task(self._follow_losses(), name="losses")
            group.create_task(self._listening.run(), name="listening")

    def _count(self, kind: ResourceKind, manifest: Manifest) -> None:
        if kind is resources.AGENT:
            self.tally.note(manifest)
            self._call(self.identities.note(manifest))
        if kind is resources.POD:
            self._places.note(manifest)
            self._listening.note(manifest)

    def _forget(self, kind: ResourceKind, uid: str) -> None:
        if kind is resources.AGENT:
            self.tally.drop(uid)
            self._call(self.identities.drop(uid))
        if kind is resources.POD:
            self._places.forget(uid)
            self._listening.forget(uid)

    def _runs(self, claim: IdentityClaim) -> bool:
        """Whether pods of an agent are wanted already."""
        return any(
            is_owned(item, claim.uid) and item["spec"].get("replicas", 1) > 0
            for item in self._cache.owned(
                resources.STATEFUL_SET, NamespacedName(claim.namespace, claim.name)
            )
        )

    def _call(self, claims: Iterable[IdentityClaim]) -> None:
        """Put agents in line whose identities became free, or no longer are."""
        for claim in claims:
            self._queue.add(NamespacedName(claim.namespace, claim.name))

    def _reach(self, change: InventoryChange | None) -> None:
        """Put the agents in line that a change around them concerns."""
        if change is None:
            return
        if change.everywhere:
            self._installation.note()
        if change.after_s:
            self._losses.add_after(change.node, change.after_s)
            return
        keys = self._places.agents_on(change.node) if change.node else []
        if change.namespace:
            keys = [key for key in self._cache.agent_keys() if key.namespace == change.namespace]
        for key in keys:
            self._queue.add(key)

    async def _follow_losses(self) -> None:
        """Node agents that were lost a while ago: whether they came back is seen in the pass."""
        while True:
            name = await self._losses.take()
            self._reach(InventoryChange(node=name))
            self._losses.finish(name)

    def _leave(self, kind: ResourceKind, key: NamespacedName | None) -> None:
        """Put the agent in line that an object is gone from."""
        if kind is resources.AGENT and key is not None:
            self._terrain.turns.leave(key)
        self._concern(kind, key)

    def _concern(self, kind: ResourceKind, key: NamespacedName | None) -> None:
        if kind is resources.DAEMON_SET:
            self._installation.note()
        elif key is not None:
            self._queue.add(key)
        if kind is resources.STATEFUL_SET:
            self.on_workload()

    def _call_all(self) -> None:
        for key in self._cache.agent_keys():
            self._queue.add(key)

    async def _sweep_forever(self) -> None:
        while True:
            kind = await self._sweeps.take()
            try:
                found, version = await self._cluster.list_all(kind, selector=selector_of(kind))
                alive = uids(found)
                for manifest in found:
                    self.on_event(kind, "MODIFIED", manifest)
                for key in self._cache.sweep(kind, alive, version=resource_version(version)):
                    self._leave(kind, key)
                for change in self._terrain.sweep(kind, alive, version=resource_version(version)):
                    self._reach(change)
                if kind is resources.AGENT:
                    self.tally.keep_only(alive)
                    self._call(self.identities.keep_only(alive))
                if kind is resources.POD:
                    self._places.sweep(alive)
                    self._listening.sweep(alive)
                if kind is resources.DAEMON_SET:
                    self._installation.note()
            except errors.ApiError as error:
                logger.warning("sweeping is tried again", extra={"error": str(error)})
                self._sweeps.retry(kind, hold_s=error.retry_after_s)
            finally:
                self._sweeps.finish(kind)


def selector_of(kind: ResourceKind) -> str:
    """The objects of a kind that are watched; empty: all."""
    if kind is resources.POD:
        return POD_SELECTOR
    return SELECTOR if kind.labelled else ""


def _is_terrain(kind: ResourceKind, manifest: Manifest) -> bool:
    """Whether an object belongs to the places where agents run, not to agents."""
    labels = table(manifest["metadata"].get("labels"))
    is_ours = labels.get(kubernetes.LABEL_MANAGED_BY) == kubernetes.MANAGED_BY
    return kind in KINDS or (kind is resources.POD and not is_ours)

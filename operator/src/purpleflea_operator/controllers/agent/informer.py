"""Keeps the cache and the indexes current: initial lists, watch events, and sweeps after a watch had to start again.

kopf delivers the events. The informer decides at O(1) per event which agents are affected, and queues them. kopf never
reports objects that were deleted before it lists again. Therefore a sweep (one list) follows each list of kopf, and
removes them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache, owner_of
from purpleflea_operator.kube.object_shapes import shaped
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping, resource_version, text
from purpleflea_operator.runtime.containment import Containment, check_identity, uids, uids_in
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
# One watch for the pods of agents and of node agents, because a selector cannot combine two labels with "or".
POD_SELECTOR = f"{kubernetes.LABEL_COMPONENT} in (agent,trading-agent)"


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTargets:
    """The components besides cache and queue to which the informer passes events."""

    nodes: NodeInventory
    restarts: RestartBudget
    telemetry: TelemetryProbe
    on_workload_change: Callable[[], None] = _ignore
    """Called if the StatefulSet of an agent changes."""
    on_object: Callable[[ResourceKind, Manifest], None] = _ignore
    """Called for each event of an existing object, and for agents and pods after the initial lists. The cache has
    the object."""


class Informer:
    """Keeps the cache and the indexes current, and queues the affected agents."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        queue: WorkQueue[NamespacedName],
        targets: EventTargets,
    ) -> None:
        nodes = targets.nodes
        self.watched = nodes.scope.watchable(WATCHED)
        self.missing: tuple[ResourceKind, ...] = ()
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._nodes = nodes
        self._restarts = targets.restarts
        self._telemetry = targets.telemetry
        self._on_workload_change = targets.on_workload_change
        self._on_object = targets.on_object
        self._pods_by_node = PodsByNode()
        self.totals = FleetTotals()
        self.identities = IdentityIndex(self._is_running)
        self._sweeps: WorkQueue[ResourceKind] = WorkQueue(jitter=lambda: 0.0)
        self._lost_node_agents: WorkQueue[str] = WorkQueue(jitter=lambda: 0.0)
        self._containment = Containment()
        self._primed: set[ResourceKind] = set()
        self._nodes_recheck: asyncio.TimerHandle | None = None
        self._discovery = DatadogDiscovery(cluster, cache, nodes)

    async def prime(self) -> None:
        """Fill the cache before the first pass.

        Raises:
            ApiError: A kind could not be listed.
        """
        for kind in self.watched:
            if kind not in self._primed:
                await self._prime_kind(kind)
        await self._discovery.discover()
        self._queue_all()
        for manifest in self._cache.all(resources.AGENT):
            with self._containment.of(resources.AGENT, manifest):
                self._on_object(resources.AGENT, manifest)
        for manifest in self._cache.all(resources.POD):
            # Pods without an owner remain if an agent was deleted while its StatefulSet was recreated.
            with self._containment.of(resources.POD, manifest):
                self._on_object(resources.POD, manifest)
                if not pod(manifest).is_controlled and (owner := owner_of(manifest)):
                    self._queue.add(owner)

    async def _prime_kind(self, kind: ResourceKind) -> None:
        """List a kind into the cache.

        Raises:
            ApiError: The kind could not be listed, and it is required or the cause may pass.
        """
        try:
            listed = await self._cluster.list_all(kind, selector=selector_of(kind))
        except (errors.NotFound, errors.Forbidden) as error:
            if not kind.optional:
                raise
            logger.warning(
                "an optional kind cannot be listed; the operator continues without it",
                extra={"kind": kind.kind, "error": str(error)},
            )
            if isinstance(error, errors.NotFound):
                self.watched = tuple(item for item in self.watched if item is not kind)
                self.missing = (*self.missing, kind)
            else:
                self._nodes.hide(kind)
        else:
            for manifest in listed.manifests:
                with self._containment.of(kind, manifest):
                    self._prime(kind, manifest)
        self._primed.add(kind)

    def _prime(self, kind: ResourceKind, manifest: Manifest) -> None:
        manifest = shaped(kind, manifest)
        check_identity(manifest)
        if _belongs_to_inventory(kind, manifest):
            self._nodes.upsert(kind, manifest)
            return
        if kind is resources.AGENT:
            self._telemetry.restore(manifest)
        self._cache.put(manifest)
        self._upsert_indexes(kind, manifest)

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process one watch event; an object that cannot be read is skipped."""
        with self._containment.of(kind, manifest):
            self._process(kind, event_type, manifest)

    def on_listed(self, kind: ResourceKind) -> None:
        """Sweep a kind, because kopf lists it again. If the list is empty, no event follows it."""
        self._sweeps.add_after(kind, timings.SWEEP_DELAY_S)

    def on_served(self, kind: ResourceKind) -> None:
        """Watch a kind that was missing."""
        self.missing = tuple(item for item in self.missing if item is not kind)
        self.watched = (*self.watched, kind)

    def on_refused(self, kind: ResourceKind, *, is_refused: bool) -> None:
        """Process that the API server refuses the watch of a kind, or serves it again."""
        if kind is not resources.NODE:
            return
        # The cached nodes may be outdated, so conditions that depend on them become Unknown.
        if self._nodes_recheck is not None:
            self._nodes_recheck.cancel()
        if is_refused:
            delay_s = timings.NODES_UNKNOWN_AFTER_S
            self._nodes.hide(kind, after_s=delay_s)
            loop = asyncio.get_running_loop()
            # A moment later than the nodes count as unknown, because the two clocks differ.
            self._nodes_recheck = loop.call_later(delay_s + 0.1, self._queue_all)
            return
        was_visible = self._nodes.is_visible
        self._nodes.show(kind)
        if not was_visible:
            self._queue_all()

    def _process(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        if event_type == "DELETED":
            self._process_deleted(kind, manifest)
            return
        manifest = shaped(kind, manifest)
        check_identity(manifest)
        if _belongs_to_inventory(kind, manifest):
            self._queue_affected(self._nodes.upsert(kind, manifest))
            return
        if self._cache.is_outdated(manifest):
            return
        # Objects that the cache already has are included, because the operator's own writes arrive only as events.
        with self._containment.of(kind, manifest):
            self._upsert_indexes(kind, manifest)
        if self._cache.put(manifest):
            self._on_changed(kind, owner_of(manifest))
        # An object that the cache already has is included, because the response to a status write can contain a new
        # mode.
        self._on_object(kind, manifest)

    def _process_deleted(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Remove a deleted object. Only its UID is read, because the other fields may be malformed."""
        uid = text(mapping(manifest.get("metadata")).get("uid"))
        if not uid:
            raise ValueError("metadata.uid is not a string")
        # Labels decide where an object is stored, and they may have changed, so it is removed everywhere.
        owner = self._cache.mark_deleted(kind, uid)
        if kind in KINDS or kind is resources.POD:
            with self._containment.of(kind, manifest):
                self._queue_affected(self._nodes.delete(kind, uid))
        with self._containment.of(kind, manifest):
            self._delete_from_indexes(kind, uid)
        self._on_deleted(kind, owner)

    async def run(self) -> None:
        """Run the discovery of Datadog, the sweeps and the telemetry probe, until canceled."""
        for kind in self.watched:
            # A deletion between the initial list and the list of kopf is never reported.
            self._sweeps.add_after(kind, timings.SWEEP_DELAY_S)
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._discovery.run(
                    on_change=self._queue_all, on_discovery=self._restarts.notify_waiters
                ),
                name="datadog",
            )
            group.create_task(self._sweep_forever(), name="sweeps")
            group.create_task(self._follow_lost_node_agents(), name="lost-node-agents")
            group.create_task(self._telemetry.run(), name="telemetry")

    def _upsert_indexes(self, kind: ResourceKind, manifest: Manifest) -> None:
        if kind is resources.AGENT:
            self.totals.upsert(manifest)
            self._queue_claims(self.identities.upsert(manifest))
        if kind is resources.POD:
            self._pods_by_node.upsert(manifest)
            self._telemetry.upsert(manifest)

    def _delete_from_indexes(self, kind: ResourceKind, uid: str) -> None:
        if kind is resources.AGENT:
            self.totals.delete(uid)
            self._queue_claims(self.identities.delete(uid))
        if kind is resources.POD:
            self._pods_by_node.delete(uid)
            self._telemetry.delete(uid)

    def _is_running(self, claim: IdentityClaim) -> bool:
        """Return whether the StatefulSet of an agent already requests pods."""
        return any(
            is_owned(item, claim.uid) and item["spec"].get("replicas", 1) > 0
            for item in self._cache.owned(
                resources.STATEFUL_SET, NamespacedName(claim.namespace, claim.name)
            )
        )

    def _queue_claims(self, claims: Iterable[IdentityClaim]) -> None:
        """Queue the agents whose identities became free or conflicting."""
        for claim in claims:
            self._queue.add(NamespacedName(claim.namespace, claim.name))

    def _queue_affected(self, change: InventoryChange | None) -> None:
        """Queue the agents that a change of the inventory affects."""
        if change is None:
            return
        if change.everywhere:
            self._discovery.invalidate()
        if change.after_s:
            self._lost_node_agents.add_after(change.node, change.after_s)
            return
        keys = self._pods_by_node.agents_on(change.node) if change.node else []
        if change.namespace:
            keys = [key for key in self._cache.agent_keys() if key.namespace == change.namespace]
        for key in keys:
            self._queue.add(key)

    async def _follow_lost_node_agents(self) -> None:
        """Queue the agents on nodes whose grace period for a lost node agent is over; the pass reads the result."""
        while True:
            name = await self._lost_node_agents.get()
            self._queue_affected(InventoryChange(node=name))
            self._lost_node_agents.done(name)

    def _on_deleted(self, kind: ResourceKind, key: NamespacedName | None) -> None:
        if kind is resources.AGENT and key is not None:
            self._restarts.release(key)
        self._on_changed(kind, key)

    def _on_changed(self, kind: ResourceKind, key: NamespacedName | None) -> None:
        if kind is resources.DAEMON_SET:
            self._discovery.invalidate()
        elif key is not None:
            self._queue.add(key)
        if kind is resources.STATEFUL_SET:
            self._on_workload_change()

    def _queue_all(self) -> None:
        for key in self._cache.agent_keys():
            self._queue.add(key)

    async def _sweep_forever(self) -> None:
        while True:
            kind = await self._sweeps.get()
            try:
                await self._sweep(kind)
                self._sweeps.forget(kind)
            except errors.ApiError as error:
                # The gate of the watches logs a kind that is refused.
                is_refused = isinstance(error, errors.NotFound | errors.Forbidden)
                logger.log(
                    logging.DEBUG if is_refused else logging.WARNING,
                    "a sweep failed; retrying",
                    extra={"kind": kind.kind, "error": str(error)},
                )
                self._sweeps.add_rate_limited(kind, hold_s=error.retry_after_s)
            finally:
                self._sweeps.done(kind)

    async def _sweep(self, kind: ResourceKind) -> None:
        """List a kind, process the objects, and remove those that do not exist any more."""
        listed = await self._cluster.list_all(kind, selector=selector_of(kind))
        alive, version = uids(listed.manifests), resource_version(listed.version)
        if listed.refused:
            # These objects are unknown, not absent.
            alive += uids_in(self._cache.all(kind), listed.refused)
        if kind is resources.CSI_DRIVER:
            self._nodes.show(kind)
            self._discovery.invalidate()
        for manifest in listed.manifests:
            self.on_event(kind, "MODIFIED", manifest)
        for key in self._cache.sweep(kind, alive, version=version):
            self._on_deleted(kind, key)
        for change in self._nodes.prune(kind, alive, version=version):
            self._queue_affected(change)
        if kind is resources.AGENT:
            self.totals.prune(alive)
            self._queue_claims(self.identities.prune(alive))
        if kind is resources.POD:
            self._pods_by_node.prune(alive)
            self._telemetry.prune(alive)
        if kind is resources.DAEMON_SET:
            self._discovery.invalidate()


def selector_of(kind: ResourceKind) -> str:
    """Return the label selector of the watch of a kind; empty if all objects are watched."""
    if kind is resources.POD:
        return POD_SELECTOR
    return SELECTOR if kind.labelled else ""


def _belongs_to_inventory(kind: ResourceKind, manifest: Manifest) -> bool:
    """Return whether an object belongs to the node inventory, and not to an agent."""
    labels = mapping(manifest["metadata"].get("labels"))
    is_ours = labels.get(kubernetes.LABEL_MANAGED_BY) == kubernetes.MANAGED_BY
    return kind in KINDS or (kind is resources.POD and not is_ours)

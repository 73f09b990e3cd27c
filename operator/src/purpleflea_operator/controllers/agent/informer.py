"""Keeps the cache and the indexes current from the objects of the lists and the events of the watches.

The informer decides at O(1) per event which agents are affected, and queues them. No event reports objects that were
deleted while a watch was interrupted. Therefore the objects that a complete list does not contain are removed. Before
all kinds are listed once, the informer only fills the cache.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.datadog_discovery import DatadogDiscovery
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import IdentityClaim
from purpleflea_operator.controllers.agent.decisions.gather import condition, is_owned
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.decisions.rollout import is_restarting
from purpleflea_operator.controllers.agent.fleet_totals import FleetTotals
from purpleflea_operator.controllers.agent.identity_holders import IdentityHolders
from purpleflea_operator.controllers.agent.identity_reads import IdentityReads
from purpleflea_operator.controllers.agent.instrumentation_support import InstrumentationSupport
from purpleflea_operator.controllers.agent.node_inventory import (
    KINDS,
    InventoryChange,
    NodeInventory,
    PodsByNode,
)
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.restart_turn import env_of_pods
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.controllers.agent.watched_kinds import (
    HIDDEN_IF_REFUSED,
    WATCHED,
    WORKLOADS,
    belongs_to_inventory,
)
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.listing import SLICE, Listing
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache, owner_of
from purpleflea_operator.kube.object_shapes import shaped
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.manifests import template_record
from purpleflea_operator.parsing import Manifest, mapping, resource_version, text
from purpleflea_operator.runtime.containment import Containment, check_identity
from purpleflea_operator.runtime.sweep import Sweep
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTargets:
    """The components besides cache and queue to which the informer passes events."""

    nodes: NodeInventory
    restarts: RestartBudget
    telemetry: TelemetryProbe
    uses_instrumentation: bool = False
    """Whether a DatadogInstrumentation has the logs and checks of agents, if the API server serves the kind."""
    clock: Callable[[], float] = time.monotonic
    """Returns monotonic seconds."""
    on_stateful_set: Callable[[str, Manifest | None], None] = _ignore
    """Called for each version of the StatefulSet of an agent with its UID, and without a manifest if it is deleted."""
    on_object: Callable[[ResourceKind, Manifest], None] = _ignore
    """Called for each event of an existing object, and for agents and pods after the initial lists. The cache has
    the object."""
    on_refusal: Callable[[], None] = _ignore
    """Called if the API server refuses the watch of a kind, or serves it again."""
    on_agent_deleted: Callable[[NamespacedName], None] = _ignore
    """Called if an agent does not exist any more."""
    on_pod_deleted: Callable[[NamespacedName], None] = _ignore
    """Called with the agent of a pod that is not watched any more. The pod can still exist without its labels."""


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
        unused = () if targets.uses_instrumentation else (resources.INSTRUMENTATION,)
        self.watched = nodes.scope.watchable(kind for kind in WATCHED if kind not in unused)
        self._cache = cache
        self._queue = queue
        self._nodes = nodes
        self._restarts = targets.restarts
        self._telemetry = targets.telemetry
        self._on_stateful_set = targets.on_stateful_set
        self._on_object = targets.on_object
        self._on_refusal = targets.on_refusal
        self._on_agent_deleted = targets.on_agent_deleted
        self._on_pod_deleted = targets.on_pod_deleted
        self._pods_by_node = PodsByNode()
        self.totals = FleetTotals()
        self.identities = IdentityHolders(cache, targets.clock)
        self.identities.claims.on_loss = self._queue_claims
        self.identity_reads = IdentityReads(cluster, self.identities, self.on_event)
        self._lost_node_agents: WorkQueue[str] = WorkQueue(jitter=lambda: 0.0)
        self._containment = Containment()
        self._is_started = False
        self._is_probing = False
        self._rechecks: dict[ResourceKind, asyncio.TimerHandle] = {}
        self._listed: set[ResourceKind] = set()
        self._was_visible = nodes.is_visible
        self._sweep = Sweep(cache.agent_keys, queue.add)
        self.instrumentation = InstrumentationSupport(
            is_enabled=targets.uses_instrumentation, on_change=self._sweep.start
        )
        self._discovery = DatadogDiscovery(cluster, cache, nodes)

    async def start(self) -> None:
        """Queue all agents for a pass. All kinds are listed, and `start_control` was called.

        Raises:
            ApiError: A Service of a node agent could not be read.
        """
        await self._discovery.discover()
        # The slots come first, because no agent may restart before they are known.
        await self._start_objects(resources.STATEFUL_SET)
        self._sweep.start()
        await self._sweep.finish()

    async def start_control(self) -> None:
        """Process events from now on, and pass on what a change of leader makes due, agents before their pods.

        Agents and their ConfigMaps, pods and halts are listed. This is separate, because halts must not wait for the
        other kinds.
        """
        self._is_started = True
        await self._start_objects(resources.AGENT)
        await self._start_objects(resources.POD)

    async def _start_objects(self, kind: ResourceKind) -> None:
        for number, manifest in enumerate(self._cache.all(kind), start=1):
            # An event that arrived meanwhile may have changed or deleted the object.
            if not self._cache.is_outdated(manifest):
                with self._containment.of(kind, manifest):
                    self._start_object(kind, manifest)
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def _restore_restart_slot(self, stateful_set: Manifest) -> None:
        """Give a slot to an agent whose upgrade was in progress when another replica led."""
        key = owner_of(stateful_set)
        resource = None if key is None else self._cache.agent(key)
        if (
            key is not None
            and resource is not None
            and is_owned(stateful_set, resource["metadata"]["uid"])
            and template_record.is_operator_upgrade(stateful_set)
            and is_restarting(stateful_set)
        ):
            is_failing = condition(resource, ConditionType.PROGRESSING).get("status") == "False"
            self._restarts.restore(key, env=env_of_pods(stateful_set), is_failing=is_failing)

    def _start_object(self, kind: ResourceKind, manifest: Manifest) -> None:
        if kind in WORKLOADS:
            self.identities.note(manifest)
        if kind is resources.STATEFUL_SET:
            self._restore_restart_slot(manifest)
            return
        self._on_object(kind, manifest)
        if kind is not resources.POD:
            return
        self._upsert_probed(manifest)
        # Pods without an owner remain if an agent was deleted while its StatefulSet was recreated.
        if not pod(dict(manifest)).is_controlled and (owner := owner_of(manifest)):
            self._queue.add(owner)

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process one watch event; an object that cannot be read is skipped."""
        with self._containment.of(kind, manifest):
            self._process(kind, event_type, manifest)

    def on_listed(self, kind: ResourceKind, listing: Listing) -> None:
        """Remove the objects that a complete list does not contain."""
        self._listed.add(kind)
        if kind is resources.POD:
            self.identities.history.on_pods_listed(listing.namespace)
        for uid in self._cache.missing_in(
            kind, listing.uids, version=listing.version, namespace=listing.namespace
        ):
            self._delete(kind, uid, listing.version)
        for change in self._nodes.prune(kind, listing):
            self._queue_affected(change)
        if kind is resources.DAEMON_SET:
            self._discovery.invalidate()
        if kind is resources.INSTRUMENTATION:
            self.instrumentation.on_listed()

    def on_refused(self, kind: ResourceKind, *, status: int) -> None:
        """Process that the API server refuses the watch of a kind, or serves it again."""
        self._on_refusal()
        if kind is resources.INSTRUMENTATION:
            self.instrumentation.on_refused(status)
        if kind is resources.CSI_DRIVER:
            # If the kind is not served (404), there is no driver.
            if status == 403:
                self._nodes.hide(kind)
            else:
                self._nodes.show(kind)
            self._discovery.invalidate()
        if kind not in HIDDEN_IF_REFUSED:
            return
        # The cached objects may be outdated, so conditions that depend on them become Unknown.
        if kind in self._rechecks:
            self._rechecks.pop(kind).cancel()
        if not status:
            self._nodes.show(kind)
            self._on_visibility(kind)
            return
        delay_s = timings.OBJECTS_UNKNOWN_AFTER_S if kind in self._listed else 0.0
        self._nodes.hide(kind, after_s=delay_s)
        loop = asyncio.get_running_loop()
        # A moment later than the objects count as unknown, because the two clocks differ.
        self._rechecks[kind] = loop.call_later(delay_s + 0.1, self._on_visibility, kind)

    def _on_visibility(self, kind: ResourceKind) -> None:
        """Queue all agents if the objects of a kind became known or unknown."""
        if kind is resources.DAEMON_SET:
            self._discovery.invalidate()
        elif self._nodes.is_visible is not self._was_visible:
            self._was_visible = self._nodes.is_visible
            self._sweep.start()

    def _process(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        if event_type == "DELETED":
            self._process_deleted(kind, manifest)
            return
        manifest = shaped(kind, manifest)
        check_identity(manifest)
        if belongs_to_inventory(kind, manifest):
            self._queue_affected(self._nodes.upsert(kind, manifest))
            return
        self.identities.history.on_event(kind, event_type, manifest)
        if self._cache.is_outdated(manifest):
            return
        # Objects that the cache already has are included, because the operator's own writes arrive only as events.
        with self._containment.of(kind, manifest):
            self._upsert_indexes(kind, manifest)
        is_new = self._cache.put(manifest)
        if not self._is_started:
            return
        if is_new:
            self._on_changed(kind, owner_of(manifest))
        # An object that the cache already has is included, because the response to a status write can contain a new
        # mode.
        self._on_object(kind, manifest)

    def _process_deleted(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Remove a deleted object. Only UID and version are read, because the other fields may be malformed."""
        metadata = mapping(manifest.get("metadata"))
        uid, version = text(metadata.get("uid")), resource_version(metadata.get("resourceVersion"))
        if not uid:
            raise ValueError("metadata.uid is not a string")
        # Labels decide where an object is stored, and they may have changed, so it is removed everywhere.
        if kind in KINDS or kind is resources.POD:
            with self._containment.of(kind, manifest):
                self._queue_affected(self._nodes.delete(kind, uid, version=version))
        self._delete(kind, uid, version)
        with self._containment.of(kind, manifest):
            # The last state of a pod can be the only one that shows that it ran.
            self.identities.history.on_event(kind, "DELETED", shaped(kind, manifest))

    async def run(self) -> None:
        """Run the discovery of Datadog and the telemetry probe, until canceled."""
        self._is_probing = True
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._discovery.run(
                    on_change=self._sweep.start, on_discovery=self._restarts.notify_waiters
                ),
                name="datadog",
            )
            group.create_task(self._follow_lost_node_agents(), name="lost-node-agents")
            group.create_task(self._telemetry.run(), name="telemetry")

    def _upsert_indexes(self, kind: ResourceKind, manifest: Manifest) -> None:
        if kind is resources.AGENT:
            self.totals.upsert(manifest)
            self._queue_claims(self.identities.claims.upsert(manifest))
        if kind in WORKLOADS and self._is_started:
            self.identities.note(manifest)
        if kind is resources.POD:
            self._pods_by_node.upsert(manifest)
            if self._is_started:
                self._upsert_probed(manifest)
        if kind is resources.STATEFUL_SET:
            self._on_stateful_set(manifest["metadata"]["uid"], manifest)

    def _upsert_probed(self, pod_manifest: Manifest) -> None:
        key = owner_of(pod_manifest)
        agent = None if self._is_probing or key is None else self._cache.agent(key)
        if agent is not None:
            # Until the probe runs, the finding of the former leader applies, which is in the status of the agent.
            self._telemetry.restore(agent)
        self._telemetry.upsert(pod_manifest)

    def _delete_from_indexes(self, kind: ResourceKind, uid: str) -> None:
        if kind is resources.AGENT:
            self.totals.delete(uid)
            self._queue_claims(self.identities.claims.delete(uid))
        if kind is resources.POD:
            self._pods_by_node.delete(uid)
            self._telemetry.delete(uid)
        if kind is resources.STATEFUL_SET:
            self._on_stateful_set(uid, None)

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
        if change.is_served:
            self._telemetry.verify(self._pods_by_node.pods_on(change.node))
        if change.after_s:
            self._lost_node_agents.add_after(change.node, change.after_s)
            return
        keys = self._pods_by_node.agents_on(change.node) if change.node else []
        if change.namespace:
            keys = self._cache.agents_in(change.namespace)
        for key in keys:
            self._queue.add(key)

    async def _follow_lost_node_agents(self) -> None:
        """Queue the agents on nodes whose grace period for a lost node agent is over; the pass reads the result."""
        while True:
            name = await self._lost_node_agents.get()
            self._queue_affected(InventoryChange(node=name))
            self._lost_node_agents.done(name)

    def _delete(self, kind: ResourceKind, uid: str, version: int) -> None:
        if kind is resources.STATEFUL_SET and (known := self._cache.get(kind, uid)) is not None:
            self.identities.on_workload_gone(known)
        key = self._cache.mark_deleted(kind, uid, version=version)
        with self._containment.of(kind, {"metadata": {"uid": uid}}):
            if kind is resources.AGENT:
                self._forget_agent(key, uid)
            else:
                self._delete_from_indexes(kind, uid)
        self._on_changed(kind, key)
        if kind is resources.POD and key is not None and self._is_started:
            self._on_pod_deleted(key)

    def on_agent_gone(self, uid: str) -> None:
        """Remove an agent that a read did not find, because the next list does not report its deletion any more."""
        key = self._cache.drop(resources.AGENT, uid)
        self._forget_agent(key, uid)

    def on_pod_gone(self, uid: str) -> None:
        """Remove a pod that a write did not find, because its watch may report the deletion much later."""
        self._delete(resources.POD, uid, 0)

    def _forget_agent(self, key: NamespacedName | None, uid: str) -> None:
        self.identities.history.forget(key, uid)
        self._delete_from_indexes(resources.AGENT, uid)
        if key is not None:
            self._restarts.forget(key)
            if self._cache.agent(key) is None:
                self._on_agent_deleted(key)

    def _on_changed(self, kind: ResourceKind, key: NamespacedName | None) -> None:
        if kind is resources.DAEMON_SET:
            self._discovery.invalidate()
        elif key is not None:
            self._queue.add(key)
            if kind in WORKLOADS:
                for waiting in self.identities.pop_waiting(key):
                    self._queue.add(waiting)

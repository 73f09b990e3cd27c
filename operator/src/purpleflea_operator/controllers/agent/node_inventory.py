"""Inventory of the nodes, node agents, namespaces and the CSI driver, and the agents by node of their pods.

Objects are reduced to small values, so that frequent updates, such as the status of a node, are not changes here. Each
change names the agents that it affects. A lost node agent counts as present for a while, because otherwise a rolling
update of the node agents would change the condition of every agent twice. Pods of node agents outside the trusted
namespaces are left out, because any user who may create pods can set their labels. The inventory decides nothing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from purpleflea_operator import timings
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.datadog.detection.coverage import (
    Coverage,
    NodeAgentPod,
    coverage,
    node_agent_pod,
)
from purpleflea_operator.datadog.detection.facts import (
    NO_DATADOG,
    DatadogFacts,
    PodSecurity,
    pod_security,
)
from purpleflea_operator.datadog.detection.node_agent import CSI_DRIVER
from purpleflea_operator.datadog.detection.placement import Node, Placement, node
from purpleflea_operator.datadog.detection.trust import DEFAULT_TRUST, TrustedNamespaces
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName, owner_of
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.tombstones import Tombstones
from purpleflea_operator.kube.watch_scope import CLUSTER_WIDE, WatchScope
from purpleflea_operator.parsing import Manifest, mapping, resource_version, text

KINDS = (resources.NODE, resources.NAMESPACE, resources.CSI_DRIVER)
MAX_KEPT = 64
"""Results that are kept; agents of one team mostly have the same placement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryChange:
    """The agents that a change affects (on a node, in a namespace, or all), and the delay after which it does."""

    node: str = ""
    namespace: str = ""
    everywhere: bool = False
    after_s: float = 0.0
    is_served: bool = False
    """True if a node agent became ready on the node."""


class NodeInventory:
    """The watched nodes, node agents, namespaces and CSI drivers; `clock` returns seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        scope: WatchScope = CLUSTER_WIDE,
        trusted: TrustedNamespaces = DEFAULT_TRUST,
    ) -> None:
        self.scope = scope
        self.trusted = trusted
        self._facts = replace(
            NO_DATADOG,
            is_visible=scope.can_watch(resources.DAEMON_SET),
            trusted_namespaces=trusted,
        )
        self._clock = clock
        self._names: dict[ResourceKind, dict[str, str]] = defaultdict(dict)
        self._by_name: dict[tuple[ResourceKind, str], str] = {}
        """UID of the newest object with each name, other than of pods. An object can be recreated with its name."""
        self._versions: dict[str, int] = {}
        self._spaces: dict[str, str] = {}
        """Namespaces of the pods of node agents."""
        self._tombstones = Tombstones()
        self._nodes: dict[str, Node] = {}
        self._namespaces: dict[str, PodSecurity] = {}
        self._drivers: set[str] = set()
        self._hidden_from: dict[ResourceKind, float] = {}
        self._pods: dict[str, NodeAgentPod] = {}
        self._on_node: dict[str, set[str]] = defaultdict(set)
        self._lost: dict[str, dict[str, float]] = defaultdict(dict)
        self._owners: Counter[str] = Counter()
        self._extended: set[str] = set()
        self._untrusted_extended: dict[str, str] = {}
        self._kept = _KeptCoverage()

    @property
    def facts(self) -> DatadogFacts:
        """The facts about the Datadog installation."""
        return self._facts

    def update_facts(self, facts: DatadogFacts) -> None:
        """Replace the facts about the Datadog installation."""
        self._facts = facts
        self._kept.clear()

    @property
    def is_visible(self) -> bool:
        """True if nodes and the pods of node agents can be seen."""
        return self._can_see(resources.NODE) and self._can_see(resources.POD)

    @property
    def hides_daemon_sets(self) -> bool:
        """True if the API server refuses the DaemonSets, other than because the operator is bound to namespaces."""
        return self._is_hidden(resources.DAEMON_SET)

    @property
    def csi_driver(self) -> bool | None:
        """True if Datadog's CSI driver is registered; None if CSI drivers cannot be seen."""
        return CSI_DRIVER in self._drivers if self._can_see(resources.CSI_DRIVER) else None

    def hide(self, kind: ResourceKind, *, after_s: float = 0.0) -> None:
        """Treat the objects of a kind as unknown, because the API server refuses to list or watch them."""
        self._hidden_from.setdefault(kind, self._clock() + after_s)
        self._kept.clear()

    def show(self, kind: ResourceKind) -> None:
        """Undo `hide`."""
        self._hidden_from.pop(kind, None)
        self._kept.clear()

    def _can_see(self, kind: ResourceKind) -> bool:
        return self.scope.can_watch(kind) and not self._is_hidden(kind)

    def _is_hidden(self, kind: ResourceKind) -> bool:
        return self._clock() >= self._hidden_from.get(kind, math.inf)

    @property
    def is_extended(self) -> bool:
        """True if there are trusted node agents of an ExtendedDaemonSet."""
        return bool(self._extended)

    @property
    def untrusted_extended(self) -> frozenset[str]:
        """Namespaces that are not trusted and have node agents of an ExtendedDaemonSet."""
        return frozenset(self._untrusted_extended.values())

    def pod_security(self, namespace: str) -> PodSecurity:
        """Return the pod security level of a namespace."""
        return self._namespaces.get(namespace, PodSecurity.UNKNOWN)

    def node(self, name: str) -> Node | None:
        """Return a node; None if it does not exist."""
        return self._nodes.get(name)

    def coverage_of_pending(
        self, placements: frozenset[Placement], names: frozenset[str], connection: Connection
    ) -> Coverage:
        """Return the coverage of these nodes, and of all nodes that a placement admits.

        The result is kept until something changes, because agents that are created together mostly have the same
        placement, and each of their passes would check all nodes.
        """
        key, now = (placements, names, connection), self._clock()
        known = self._kept.get(key, now)
        if known is not None:
            return known
        found = coverage(self._admitted(placements) | names, self._facts, connection, self)
        self._kept.put(key, found, until=self._unchanged_until(now))
        return found

    def _admitted(self, placements: Iterable[Placement]) -> set[str]:
        return {
            item.name
            for wanted in placements
            for item in self._nodes.values()
            if not wanted.exclusion_reason(item)
        }

    def _unchanged_until(self, now: float) -> float:
        """Return when the time alone can change a result."""
        lost = (
            at + timings.READINESS_GRACE_S
            for owners in self._lost.values()
            for at in owners.values()
        )
        moments = (*lost, *self._hidden_from.values())
        return min((at for at in moments if at > now), default=math.inf)

    def node_agents_on(self, name: str) -> Sequence[NodeAgentPod]:
        """Return the pods of node agents on a node, including ready pods that were lost a short time ago."""
        present = [self._pods[uid] for uid in sorted(self._on_node.get(name, ()))]
        now = self._clock()
        recent = [
            NodeAgentPod(daemon_set=owner, node=name, is_ready=True)
            for owner, at in self._lost.get(name, {}).items()
            if now - at < timings.READINESS_GRACE_S
        ]
        return (*recent, *present)

    def has_pods_of(self, daemon_set: str) -> bool:
        """Return whether the inventory has a pod of a DaemonSet (by UID)."""
        return self._owners[daemon_set] > 0

    def upsert(self, kind: ResourceKind, manifest: Manifest) -> InventoryChange | None:
        """Add or update an object; returns None if the change affects no agent."""
        metadata = manifest["metadata"]
        uid, name = metadata["uid"], metadata["name"]
        version = resource_version(metadata.get("resourceVersion"))
        if self._tombstones.covers(uid, version) or version < self._versions.get(uid, 0):
            return None
        self._names[kind][uid], self._versions[uid] = name, version
        if kind is not resources.POD and not self._claim_name(kind, name, uid):
            return None
        if kind is resources.POD:
            item, namespace = node_agent_pod(manifest), text(metadata.get("namespace"))
            self._spaces[uid] = namespace
            if namespace not in self.trusted:
                return self._set_untrusted_pod(uid, namespace if item.is_extended else "")
            return self._set_node_agent_pod(uid, item)
        if kind is resources.NODE:
            known, self._nodes[name] = self._nodes.get(name), node(manifest)
            if known == self._nodes[name]:
                return None
            self._kept.clear()
            return InventoryChange(node=name)
        if kind is resources.NAMESPACE:
            level = pod_security(mapping(metadata.get("labels")))
            before, self._namespaces[name] = self._namespaces.get(name), level
            return None if before is level else InventoryChange(namespace=name)
        is_new = name not in self._drivers
        self._drivers.add(name)
        return InventoryChange(everywhere=True) if is_new and name == CSI_DRIVER else None

    def _claim_name(self, kind: ResourceKind, name: str, uid: str) -> bool:
        """Return whether an object is the newest one with its name, and record it."""
        other = self._by_name.get((kind, name), uid)
        if self._versions.get(other, 0) > self._versions[uid]:
            return False
        self._by_name[kind, name] = uid
        return True

    def delete(self, kind: ResourceKind, uid: str, *, version: int = 0) -> InventoryChange | None:
        """Remove an object; returns None if the change affects no agent."""
        # The response to a list that is in flight can still contain the object. UIDs are never used again, but a watch
        # also reports an object as deleted if its labels do not match any more, and they can match again.
        self._tombstones.add(uid, version=version)
        name = self._names[kind].pop(uid, "")
        self._versions.pop(uid, None)
        if kind is not resources.POD and self._by_name.get((kind, name)) != uid:
            return None
        self._by_name.pop((kind, name), None)
        self._spaces.pop(uid, None)
        if kind is resources.POD:
            if uid in self._untrusted_extended:
                return self._set_untrusted_pod(uid, "")
            return self._set_node_agent_pod(uid, None)
        if kind is resources.NODE:
            self._kept.clear()
            return InventoryChange(node=name) if self._nodes.pop(name, None) else None
        if kind is resources.NAMESPACE:
            self._namespaces.pop(name, None)
            return None
        self._drivers.discard(name)
        return InventoryChange(everywhere=True) if name == CSI_DRIVER else None

    def prune(self, kind: ResourceKind, listing: Listing) -> list[InventoryChange]:
        """Remove the objects of a kind that a list does not contain any more."""
        gone = [
            uid
            for uid in self._names[kind].keys() - listing.uids
            if self._versions[uid] <= listing.version
            and listing.namespace in ("", self._spaces.get(uid, ""))
        ]
        changes = [self.delete(kind, uid, version=listing.version) for uid in gone]
        return [change for change in changes if change is not None]

    def _set_untrusted_pod(self, uid: str, namespace: str) -> InventoryChange | None:
        """Record only the namespace of a pod of an ExtendedDaemonSet, which is reported; remove it if empty."""
        before = self.untrusted_extended
        if namespace:
            self._untrusted_extended[uid] = namespace
        else:
            self._untrusted_extended.pop(uid, None)
        return None if before == self.untrusted_extended else InventoryChange(everywhere=True)

    def _set_node_agent_pod(self, uid: str, item: NodeAgentPod | None) -> InventoryChange | None:
        """Set or remove a pod; the first and the last pod of an ExtendedDaemonSet change the installation."""
        before = self.is_extended
        if item is not None and item.is_extended:
            self._extended.add(uid)
        else:
            self._extended.discard(uid)
        change = self._set_pod(uid, item)
        if before is self.is_extended:
            return change
        return replace(change or InventoryChange(), everywhere=True)

    def _set_pod(self, uid: str, item: NodeAgentPod | None) -> InventoryChange | None:
        known = self._pods.pop(uid, None)
        if known is not None:
            self._on_node[known.node].discard(uid)
            self._owners[known.daemon_set] -= 1
        if item is not None and item.node:
            self._pods[uid] = item
            self._on_node[item.node].add(uid)
            self._owners[item.daemon_set] += 1
        if known == item:
            return None
        self._kept.clear()
        name = item.node if item is not None else known.node if known is not None else ""
        if item is not None and item.is_ready:
            self._lost[name].pop(item.daemon_set, None)
            return InventoryChange(node=name, is_served=known is None or not known.is_ready)
        if known is not None and known.is_ready:
            self._lost[name][known.daemon_set] = self._clock()
            return InventoryChange(node=name, after_s=timings.READINESS_GRACE_S)
        return InventoryChange(node=name)


class _KeptCoverage:
    """Results for the nodes of pending pods, until something changes."""

    def __init__(self) -> None:
        self._results: dict[tuple[object, ...], tuple[Coverage, float]] = {}

    def get(self, key: tuple[object, ...], now: float) -> Coverage | None:
        """Return a kept result that is still valid."""
        found, until = self._results.get(key, (None, 0.0))
        return found if now < until else None

    def put(self, key: tuple[object, ...], result: Coverage, *, until: float) -> None:
        """Keep a result; the oldest is dropped."""
        self._results.pop(key, None)
        self._results[key] = (result, until)
        if len(self._results) > MAX_KEPT:
            del self._results[next(iter(self._results))]

    def clear(self) -> None:
        """Drop all results."""
        self._results.clear()


class PodsByNode:
    """Index of agents and their pods by node, updated at O(1) for each event."""

    def __init__(self) -> None:
        self._by_pod: dict[str, tuple[str, NamespacedName]] = {}
        self._agents: dict[str, Counter[NamespacedName]] = defaultdict(Counter)
        self._pods: dict[str, set[str]] = defaultdict(set)

    def upsert(self, pod: Manifest) -> None:
        """Add or update a pod of an agent."""
        uid, key = pod["metadata"]["uid"], owner_of(pod)
        name = text(mapping(pod.get("spec")).get("nodeName"))
        self.delete(uid)
        if key is not None and name:
            self._by_pod[uid] = (name, key)
            self._agents[name][key] += 1
            self._pods[name].add(uid)

    def delete(self, uid: str) -> None:
        """Remove a pod."""
        name, key = self._by_pod.pop(uid, ("", None))
        if key is not None:
            self._agents[name] -= Counter([key])
            self._pods[name].discard(uid)
            if not self._agents[name]:
                del self._agents[name], self._pods[name]

    def agents_on(self, name: str) -> list[NamespacedName]:
        """Return the agents with a pod on a node, sorted."""
        return sorted(self._agents.get(name, ()))

    def pods_on(self, name: str) -> frozenset[str]:
        """Return the UIDs of the pods of agents on a node."""
        return frozenset(self._pods.get(name, ()))

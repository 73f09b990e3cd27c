"""What the watches have shown of where agents run: nodes, node agents, namespaces, Datadog's CSI driver.

Kept as small values, so that what changes all the time (the status of a node) is no change here. Each change tells whom
it concerns. A node agent that is lost counts as present for a while: a new version that rolls over the nodes would
otherwise turn the condition of every agent twice.

Which agents have pods on which node, so that a change of a node reaches exactly those. It decides nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.datadog.detection.coverage import NodeAgentPod, node_agent_pod
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, PodSecurity, pod_security
from purpleflea_operator.datadog.detection.node_agent import CSI_DRIVER
from purpleflea_operator.datadog.detection.placement import Node, node
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import MAX_TOMBSTONES, NamespacedName, owner_of
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_scope import CLUSTER_WIDE, WatchScope
from purpleflea_operator.parsing import Manifest, resource_version, table, text

KINDS = (resources.NODE, resources.NAMESPACE, resources.CSI_DRIVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryChange:
    """Whom a change concerns: agents on a node, in a namespace, or all; and when."""

    node: str = ""
    namespace: str = ""
    everywhere: bool = False
    after_s: float = 0.0


class NodeInventory:
    """Nodes, node agents, namespaces and the CSI driver, as far as they are watched."""

    def __init__(self, *, clock: Callable[[], float], scope: WatchScope = CLUSTER_WIDE) -> None:
        self.scope = scope
        self.facts = replace(NO_DATADOG, is_visible=scope.sees(resources.DAEMON_SET))
        """What is known about the Datadog node agents."""
        self.turns = RestartBudget(clock=clock)
        """Who may take on another connection now."""
        self._clock = clock
        self._names: dict[ResourceKind, dict[str, str]] = defaultdict(dict)
        self._versions: dict[str, int] = {}
        self._dead: dict[str, None] = {}
        self._nodes: dict[str, Node] = {}
        self._namespaces: dict[str, PodSecurity] = {}
        self._drivers: set[str] = set()
        self._pods: dict[str, NodeAgentPod] = {}
        self._on_node: dict[str, set[str]] = defaultdict(set)
        self._lost: dict[str, dict[str, float]] = defaultdict(dict)
        self._owners: Counter[str] = Counter()
        self._extended: set[str] = set()

    @property
    def is_visible(self) -> bool:
        """Whether nodes and the pods of node agents can be seen."""
        return self.scope.sees(resources.NODE)

    @property
    def csi_driver(self) -> bool | None:
        """Whether Datadog's CSI driver is registered; None where that cannot be seen."""
        return CSI_DRIVER in self._drivers if self.scope.sees(resources.CSI_DRIVER) else None

    @property
    def is_extended(self) -> bool:
        """Whether there are node agents of an ExtendedDaemonSet."""
        return bool(self._extended)

    def pod_security(self, namespace: str) -> PodSecurity:
        """What a namespace allows its pods."""
        return self._namespaces.get(namespace, PodSecurity.UNKNOWN)

    def node(self, name: str) -> Node | None:
        """A node by its name."""
        return self._nodes.get(name)

    def nodes(self) -> Iterable[Node]:
        """All nodes."""
        return self._nodes.values()

    def node_agents_on(self, name: str) -> Sequence[NodeAgentPod]:
        """The pods of node agents on a node, with those that were there a moment ago."""
        present = [self._pods[uid] for uid in sorted(self._on_node.get(name, ()))]
        now = self._clock()
        recent = [
            NodeAgentPod(daemon_set=owner, node=name, is_ready=True)
            for owner, at in self._lost.get(name, {}).items()
            if now - at < timings.READINESS_GRACE_S
        ]
        return (*recent, *present)

    def has_pods_of(self, daemon_set: str) -> bool:
        """Whether any pod of a DaemonSet (by UID) is seen."""
        return self._owners[daemon_set] > 0

    def note(self, kind: ResourceKind, manifest: Manifest) -> InventoryChange | None:
        """Take in one object as it is now; None where nothing changed that matters."""
        metadata = manifest["metadata"]
        uid, name = metadata["uid"], metadata["name"]
        version = resource_version(metadata.get("resourceVersion"))
        if uid in self._dead or version < self._versions.get(uid, 0):
            return None
        self._names[kind][uid], self._versions[uid] = name, version
        if kind is resources.POD:
            return self._note_extended(uid, node_agent_pod(manifest))
        if kind is resources.NODE:
            known, self._nodes[name] = self._nodes.get(name), node(manifest)
            return None if known == self._nodes[name] else InventoryChange(node=name)
        if kind is resources.NAMESPACE:
            level = pod_security(table(metadata.get("labels")))
            before, self._namespaces[name] = self._namespaces.get(name), level
            return None if before is level else InventoryChange(namespace=name)
        is_new = name not in self._drivers
        self._drivers.add(name)
        return InventoryChange(everywhere=True) if is_new and name == CSI_DRIVER else None

    def forget(self, kind: ResourceKind, uid: str) -> InventoryChange | None:
        """Take in that an object is gone."""
        # A list that was under way may still show it; uids never come back.
        self._dead[uid] = None
        if len(self._dead) > MAX_TOMBSTONES:
            self._dead.pop(next(iter(self._dead)))
        name = self._names[kind].pop(uid, "")
        self._versions.pop(uid, None)
        if kind is resources.POD:
            return self._note_extended(uid, None)
        if kind is resources.NODE:
            return InventoryChange(node=name) if self._nodes.pop(name, None) else None
        if kind is resources.NAMESPACE:
            self._namespaces.pop(name, None)
            return None
        self._drivers.discard(name)
        return InventoryChange(everywhere=True) if name == CSI_DRIVER else None

    def sweep(
        self, kind: ResourceKind, alive: Iterable[str], *, version: int
    ) -> list[InventoryChange]:
        """Forget the objects of a kind that a list of `version` no longer shows."""
        gone = [
            uid for uid in self._names[kind].keys() - set(alive) if self._versions[uid] <= version
        ]
        changes = [self.forget(kind, uid) for uid in gone]
        return [change for change in changes if change is not None]

    def _note_extended(self, uid: str, found: NodeAgentPod | None) -> InventoryChange | None:
        """Take in a pod; the first and the last of an ExtendedDaemonSet change what is installed."""
        before = self.is_extended
        if found is not None and found.is_extended:
            self._extended.add(uid)
        else:
            self._extended.discard(uid)
        change = self._note_pod(uid, found)
        if before is self.is_extended:
            return change
        return replace(change or InventoryChange(), everywhere=True)

    def _note_pod(self, uid: str, found: NodeAgentPod | None) -> InventoryChange | None:
        known = self._pods.pop(uid, None)
        if known is not None:
            self._on_node[known.node].discard(uid)
            self._owners[known.daemon_set] -= 1
        if found is not None and found.node:
            self._pods[uid] = found
            self._on_node[found.node].add(uid)
            self._owners[found.daemon_set] += 1
        if known == found:
            return None
        place = found.node if found is not None else known.node if known is not None else ""
        if found is not None and found.is_ready:
            self._lost[place].pop(found.daemon_set, None)
        elif known is not None and known.is_ready:
            self._lost[place][known.daemon_set] = self._clock()
            return InventoryChange(node=place, after_s=timings.READINESS_GRACE_S)
        return InventoryChange(node=place)


class PodsByNode:
    """Agents by the nodes of their pods, kept at O(1) per event."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, NamespacedName]] = {}
        self._agents: dict[str, Counter[NamespacedName]] = defaultdict(Counter)

    def note(self, pod: Manifest) -> None:
        """Remember where a pod of an agent runs."""
        uid, key = pod["metadata"]["uid"], owner_of(pod)
        name = text(table(pod.get("spec")).get("nodeName"))
        self.forget(uid)
        if key is not None and name:
            self._places[uid] = (name, key)
            self._agents[name][key] += 1

    def forget(self, uid: str) -> None:
        """Take in that a pod is gone."""
        name, key = self._places.pop(uid, ("", None))
        if key is not None:
            self._agents[name] -= Counter([key])
            if not self._agents[name]:
                del self._agents[name]

    def sweep(self, alive: Iterable[str]) -> None:
        """Forget all pods but these."""
        for uid in self._places.keys() - set(alive):
            self.forget(uid)

    def agents_on(self, name: str) -> list[NamespacedName]:
        """Agents with a pod on a node."""
        return sorted(self._agents.get(name, ()))

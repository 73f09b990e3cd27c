"""Which nodes of an agent have a node agent that hears it, and why the others have none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from purpleflea_operator.datadog.detection.connection import (
    Connection,
    ConnectionMode,
    receives_metrics,
)
from purpleflea_operator.datadog.detection.facts import DatadogFacts, NodeAgent
from purpleflea_operator.datadog.detection.placement import Node
from purpleflea_operator.parsing import rows, table, text

EXTENDED = "ExtendedDaemonSetReplicaSet"
"""Kind that the pods of an ExtendedDaemonSet belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAgentPod:
    """One pod of a node agent. Its name is left out: it is made up anew each time."""

    daemon_set: str
    """UID of its DaemonSet."""
    node: str
    is_ready: bool
    is_extended: bool = False
    """Whether it belongs to an ExtendedDaemonSet, whose settings cannot be seen."""
    waiting: str = ""
    """Why a container of it waits, as the kubelet says it."""


def node_agent_pod(manifest: Mapping[str, Any]) -> NodeAgentPod:
    """The pod of a node agent that `manifest` describes."""
    metadata, status = table(manifest.get("metadata")), table(manifest.get("status"))
    owners = rows(metadata.get("ownerReferences"))
    owner: Mapping[str, Any] = next((item for item in owners if item.get("controller")), {})
    return NodeAgentPod(
        daemon_set=text(owner.get("uid")),
        is_extended=owner.get("kind") == EXTENDED,
        node=text(table(manifest.get("spec")).get("nodeName")),
        is_ready=any(
            (item.get("type"), item.get("status")) == ("Ready", "True")
            for item in rows(status.get("conditions"))
        ),
        waiting=_waiting(rows(status.get("containerStatuses"))),
    )


def _waiting(containers: Sequence[Mapping[str, Any]]) -> str:
    """Why a pod is not ready, in a word that does not change with every attempt."""
    for item in containers:
        reason = text(table(table(item.get("state")).get("waiting")).get("reason"))
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            return "ImagePullBackOff"
        if not item.get("ready") and item.get("restartCount", 0):
            return "CrashLoopBackOff"
        if reason not in ("", "ContainerCreating", "PodInitializing"):
            return reason
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UncoveredNode:
    """A node whose agents nobody hears, and why."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingNodeAgent:
    """One DaemonSet of node agents, and the nodes whose agents it hears."""

    node_agent: NodeAgent
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Nodes that the agents need, and those among them that have no node agent for them."""

    needed: int = 0
    uncovered: tuple[UncoveredNode, ...] = ()
    """In the order of their names."""
    receiving: tuple[ReceivingNodeAgent, ...] = ()
    """Who hears the agents on the other nodes: node pools may have node agents of their own."""
    is_visible: bool = True
    """Whether nodes and node agents can be seen at all."""


ALL_COVERED = Coverage()
NOT_VISIBLE = Coverage(is_visible=False)


class Landscape(Protocol):
    """Nodes and the node agents on them, as they are known at the moment."""

    @property
    def is_visible(self) -> bool:
        """Whether nodes and the pods of node agents can be seen."""

    def nodes(self) -> Iterable[Node]:
        """All nodes."""

    def node(self, name: str) -> Node | None:
        """A node by its name."""

    def node_agents_on(self, name: str) -> Sequence[NodeAgentPod]:
        """The pods of node agents on a node."""

    def knows_pods_of(self, daemon_set: str) -> bool:
        """Whether any pod of a DaemonSet (by UID) is seen: those of old charts lack the labels to be found by."""


def coverage(
    nodes: Iterable[str], facts: DatadogFacts, way: Connection, landscape: Landscape
) -> Coverage:
    """How far the nodes have a node agent that hears this way."""
    if way.mode is ConnectionMode.NONE:
        return ALL_COVERED
    if not landscape.is_visible:
        return NOT_VISIBLE
    needed = sorted(set(nodes))
    serving = [agent for agent in facts.node_agents if receives_metrics(agent, way)]
    receiving_node_agents = {name: _hearer(name, serving, landscape) for name in needed}
    missing = tuple(
        UncoveredNode(node=name, reason=_obstacle(name, facts, serving, landscape))
        for name in needed
        if receiving_node_agents[name] is None
    )
    heard = [
        (item, tuple(name for name in needed if receiving_node_agents[name] is item))
        for item in serving
    ]
    return Coverage(
        needed=len(needed),
        uncovered=missing,
        receiving=tuple(
            ReceivingNodeAgent(node_agent=item, nodes=names) for item, names in heard if names
        ),
    )


def _hearer(name: str, serving: Sequence[NodeAgent], landscape: Landscape) -> NodeAgent | None:
    """The node agent that hears the agents on a node."""
    node = landscape.node(name)
    ready = {pod.daemon_set for pod in landscape.node_agents_on(name) if pod.is_ready}
    seen = [item for item in serving if item.uid in ready]
    return next(iter(seen or [item for item in serving if _claims(item, node, landscape)]), None)


def _obstacle(
    name: str, facts: DatadogFacts, serving: Sequence[NodeAgent], landscape: Landscape
) -> str:
    """Why nobody on the node hears."""
    pods, node = landscape.node_agents_on(name), landscape.node(name)
    hearing = [pod for pod in pods if any(pod.daemon_set == item.uid for item in serving)]
    if hearing:
        why = next((f" ({pod.waiting})" for pod in hearing if pod.waiting), "")
        return f"its node agent is not ready{why}"
    others = {pod.daemon_set for pod in pods if pod.is_ready}
    for item in facts.node_agents:
        if item.uid in others:
            return f"its node agent {item.namespace}/{item.name} is not reached by this connection"
    return _absence(node, serving)


def _claims(agent: NodeAgent, node: Node | None, landscape: Landscape) -> bool:
    """Whether a DaemonSet whose pods cannot be seen says that it has one on the node."""
    if landscape.knows_pods_of(agent.uid) or not agent.is_ready:
        return False
    return node is None or not agent.placement.exclusion_reason(node)


def _absence(node: Node | None, serving: Sequence[NodeAgent]) -> str:
    """Why no node agent was started on the node."""
    if node is None:
        return "the node is gone"
    if not serving:
        return "no node agent takes this connection"
    obstacles = [item.placement.exclusion_reason(node) for item in serving]
    if not all(obstacles):
        return "its node agent is being started" if node.is_ready else "the node is not ready"
    return obstacles[0]


def receiving_node_agents(
    facts: DatadogFacts, way: Connection, found: Coverage
) -> tuple[ReceivingNodeAgent, ...]:
    """Who hears the agents; where that is not known by nodes, the node agent that is to; empty: there is none."""
    if found.receiving or facts.node_agent is None:
        return found.receiving
    serving = (item for item in facts.node_agents if receives_metrics(item, way))
    return (ReceivingNodeAgent(node_agent=next(serving, facts.node_agent)),)

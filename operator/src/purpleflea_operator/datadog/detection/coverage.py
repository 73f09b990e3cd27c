"""Decide which nodes of an agent have a node agent that receives its telemetry, and why the others have none.

The input is the selected connection and a view of nodes and pods. Nothing here watches or reads the cluster.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from purpleflea_operator.datadog.detection.connection import (
    Connection,
    ConnectionMode,
    receives_metrics,
)
from purpleflea_operator.datadog.detection.facts import DatadogFacts, NodeAgent, PodSecurity
from purpleflea_operator.datadog.detection.placement import Node, Placement
from purpleflea_operator.parsing import Manifest, mapping, mappings, text

NODE_NOT_READY = "the node is not ready"
"""Reason for which a node has no node agent. It applies before all others, because no pod can help there."""
EXTENDED_KIND = "ExtendedDaemonSetReplicaSet"
"""Kind of the controller of pods that belong to an ExtendedDaemonSet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAgentPod:
    """One pod of a node agent. The name is left out, because it changes each time the pod is recreated."""

    daemon_set: str
    """UID of its DaemonSet."""
    node: str
    is_ready: bool
    is_extended: bool = False
    """True if the pod belongs to an ExtendedDaemonSet, whose settings the operator cannot see."""
    waiting: str = ""
    """Reason of the kubelet why a container of the pod waits; empty if none waits."""


def node_agent_pod(manifest: Manifest) -> NodeAgentPod:
    """Return the node agent pod that `manifest` describes."""
    metadata, status = mapping(manifest.get("metadata")), mapping(manifest.get("status"))
    owners = mappings(metadata.get("ownerReferences"))
    owner: Manifest = next((item for item in owners if item.get("controller")), {})
    return NodeAgentPod(
        daemon_set=text(owner.get("uid")),
        is_extended=owner.get("kind") == EXTENDED_KIND,
        node=text(mapping(manifest.get("spec")).get("nodeName")),
        is_ready=any(
            (item.get("type"), item.get("status")) == ("Ready", "True")
            for item in mappings(status.get("conditions"))
        ),
        waiting=_waiting(mappings(status.get("containerStatuses"))),
    )


def _waiting(containers: Sequence[Manifest]) -> str:
    """Return why a pod is not ready, as a reason that stays the same for all attempts of the kubelet."""
    for item in containers:
        reason = text(mapping(mapping(item.get("state")).get("waiting")).get("reason"))
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            return "ImagePullBackOff"
        if not item.get("ready") and item.get("restartCount", 0):
            return "CrashLoopBackOff"
        if reason not in ("", "ContainerCreating", "PodInitializing"):
            return reason
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UncoveredNode:
    """A node without a node agent for its agents, and the reason."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingNodeAgent:
    """One DaemonSet of node agents, and the nodes on which it receives the telemetry of agents."""

    node_agent: NodeAgent
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Nodes that the agents need, split into those with and without a node agent for the agents."""

    needed: int = 0
    uncovered: tuple[UncoveredNode, ...] = ()
    """Nodes without a node agent for the agents, sorted by name."""
    receiving: tuple[ReceivingNodeAgent, ...] = ()
    """Node agents of the other nodes. There can be several, because node pools can have separate node agents."""
    is_visible: bool = True
    """True if the operator can see nodes and the pods of node agents."""


ALL_COVERED = Coverage()
NOT_VISIBLE = Coverage(is_visible=False)


class NodeView(Protocol):
    """Read-only view of the nodes, the node agents on them, and the Datadog installation."""

    @property
    def facts(self) -> DatadogFacts:
        """The facts about the Datadog installation."""

    @property
    def is_visible(self) -> bool:
        """Return True if the operator can see nodes and the pods of node agents."""

    def pod_security(self, namespace: str) -> PodSecurity:
        """Return the Pod Security level of a namespace."""

    def node(self, name: str) -> Node | None:
        """Return the node with this name; None if there is none."""

    def node_agents_on(self, name: str) -> Sequence[NodeAgentPod]:
        """Return the pods of node agents on a node."""

    def has_pods_of(self, daemon_set: str) -> bool:
        """Return True if a pod of the DaemonSet with this UID is visible.

        The pods of old charts are not visible, because they lack the labels that the watch selects.
        """

    def coverage_of_pending(
        self, placements: frozenset[Placement], names: frozenset[str], connection: Connection
    ) -> "Coverage":
        """Return the coverage of these nodes, and of all nodes that a placement admits."""


def coverage(
    nodes: Iterable[str], facts: DatadogFacts, connection: Connection, view: NodeView
) -> Coverage:
    """Return which of the nodes have a node agent that receives the telemetry sent through the connection."""
    if connection.mode is ConnectionMode.NONE or connection.mode.is_explicit:
        return ALL_COVERED
    if not view.is_visible:
        return NOT_VISIBLE
    needed = sorted(set(nodes))
    candidates = [agent for agent in facts.node_agents if receives_metrics(agent, connection)]
    by_node = {name: _node_agent_of(name, candidates, view) for name in needed}
    uncovered = tuple(
        UncoveredNode(node=name, reason=_reason_uncovered(name, facts, candidates, view))
        for name in needed
        if by_node[name] is None
    )
    receiving = [
        ReceivingNodeAgent(
            node_agent=agent, nodes=tuple(name for name in needed if by_node[name] is agent)
        )
        for agent in candidates
    ]
    return Coverage(
        needed=len(needed),
        uncovered=uncovered,
        receiving=tuple(item for item in receiving if item.nodes),
    )


def _node_agent_of(name: str, candidates: Sequence[NodeAgent], view: NodeView) -> NodeAgent | None:
    """Return the node agent that receives the telemetry of the agents on a node."""
    node = view.node(name)
    ready = {pod.daemon_set for pod in view.node_agents_on(name) if pod.is_ready}
    visible = [agent for agent in candidates if agent.uid in ready]
    assumed = (agent for agent in candidates if _should_have_pod(agent, node, view))
    return next(iter(visible), None) or next(assumed, None)


def _reason_uncovered(
    name: str, facts: DatadogFacts, candidates: Sequence[NodeAgent], view: NodeView
) -> str:
    """Return why no node agent receives the telemetry of the agents on a node."""
    pods, node = view.node_agents_on(name), view.node(name)
    if node is not None and not node.is_ready:
        return NODE_NOT_READY
    unready = [pod for pod in pods if any(pod.daemon_set == agent.uid for agent in candidates)]
    if unready:
        reason = next((f" ({pod.waiting})" for pod in unready if pod.waiting), "")
        return f"its node agent is not ready{reason}"
    others = {pod.daemon_set for pod in pods if pod.is_ready}
    for agent in facts.node_agents:
        if agent.uid in others:
            return f"its node agent {agent.namespace}/{agent.name} does not offer this connection"
    return _reason_not_started(node, candidates)


def _should_have_pod(agent: NodeAgent, node: Node | None, view: NodeView) -> bool:
    """Return True if the operator cannot see the pods of a ready DaemonSet that may run on the node."""
    if view.has_pods_of(agent.uid) or not agent.is_ready:
        return False
    return node is None or not agent.placement.exclusion_reason(node)


def _reason_not_started(node: Node | None, candidates: Sequence[NodeAgent]) -> str:
    """Return why no node agent has a pod on the node."""
    if node is None:
        return "the node does not exist any more"
    if not candidates:
        return "no node agent offers this connection"
    reasons = [agent.placement.exclusion_reason(node) for agent in candidates]
    if not all(reasons):
        return "its node agent is starting"
    return reasons[0]


def receiving_node_agents(
    facts: DatadogFacts, connection: Connection, covered: Coverage
) -> tuple[ReceivingNodeAgent, ...]:
    """Return the node agents that receive the telemetry of the agents; empty if there is no node agent.

    If the nodes of the agents are not known, it is the first node agent that offers the connection, else the first.
    """
    if covered.receiving or facts.node_agent is None:
        return covered.receiving
    candidates = (agent for agent in facts.node_agents if receives_metrics(agent, connection))
    return (ReceivingNodeAgent(node_agent=next(candidates, facts.node_agent)),)

"""Values that describe the Datadog node agents of a cluster.

`None` and `Switch.UNKNOWN` mean that the operator cannot see the value. They never mean "off".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from purpleflea_operator.datadog.detection.placement import ANYWHERE, Placement
from purpleflea_operator.datadog.detection.trust import DEFAULT_TRUST, TrustedNamespaces


class Installer(StrEnum):
    """Tool that installed the node agent."""

    HELM = "Helm"
    OPERATOR = "Operator"
    MANIFEST = "Manifest"
    """A DaemonSet of another origin, such as a plain manifest or a chart with another name."""


class Switch(StrEnum):
    """State of a feature of the node agent. The state is unknown if its source is a Secret or a mounted file."""

    ON = "On"
    OFF = "Off"
    UNKNOWN = "Unknown"


def worst(states: Iterable[Switch]) -> Switch:
    """Return OFF if any state is OFF, else UNKNOWN if any is UNKNOWN, else ON."""
    distinct = set(states)
    return next((item for item in (Switch.OFF, Switch.UNKNOWN) if item in distinct), Switch.ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverPort:
    """Port on which a receiver of the node agent listens."""

    host_port: int | None = None
    """Number of the port on the node; None if the port is not open there."""
    is_declared: bool = True
    """True if the receiver listens on the containerPort of its name, to which a Service forwards."""
    container_port: int | None = None
    """Port on which the receiver listens, to which a hostPort or a Service is translated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A UNIX socket of the node agent: its folder on the node, and its file name."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerVariable:
    """A variable of a container of the node agent."""

    container: str
    name: str
    value: str = "true"
    """Value that the variable should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryReceiver:
    """Endpoint of the node agent for one signal (metrics or traces)."""

    state: Switch = Switch.OFF
    port: ReceiverPort | None = None
    """Port of the receiver; None if it does not listen, or only for its own pod."""
    socket: Socket | None = None
    blocked_by: ContainerVariable | None = None
    """The user's own variable that turns the receiver off, closes it to other pods, or moves it from its declared port.
    No other setting can open the receiver."""


OFF = TelemetryReceiver()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalService:
    """The node-local Service of a node agent. A port is None if the Service does not have it."""

    name: str
    dogstatsd_port: int | None = None
    apm_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAgent:
    """One DaemonSet of Datadog node agents."""

    installer: Installer
    uid: str
    name: str
    namespace: str
    release: str
    """Name of the Helm release, or of the DatadogAgent."""
    chart_version: str | None = None
    agent_version: str | None = None
    dogstatsd: TelemetryReceiver = OFF
    apm: TelemetryReceiver = OFF
    logs: Switch = Switch.UNKNOWN
    logs_blocked_by: ContainerVariable | None = None
    """The user's own variable that turns off the collection of logs, although the installation turns it on."""
    service: LocalService | None = None
    """The node-local Service; None if there is none."""
    placement: Placement = ANYWHERE
    """Nodes that the DaemonSet may run on."""
    is_ready: bool = False
    """True if every node that the DaemonSet selects has a ready node agent."""
    invalid_values: tuple[str, ...] = ()
    """Reasons why values of the DaemonSet or of its Service cannot be used."""
    nodes: int = field(default=0, compare=False)
    """Number of nodes that the DaemonSet selects. It is not compared, because each new node would otherwise be a change
    of the installation for every agent."""

    @property
    def is_for_linux(self) -> bool:
        """Return True if the DaemonSet runs on Linux nodes, as agents do."""
        return dict(self.placement.node_selector).get("kubernetes.io/os", "linux") == "linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedNodeAgent:
    """A workload with Datadog's labels in a namespace that is not trusted. It is reported and never used."""

    namespace: str
    name: str
    node_agent: NodeAgent | None = None
    """Its settings, only to recognize the connections that lead to it; None if they cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatadogFacts:
    """All trusted node agents, in a sequence that does not depend on their state. Empty if none is installed."""

    node_agents: tuple[NodeAgent, ...] = ()
    untrusted: tuple[UntrustedNodeAgent, ...] = ()
    """Node agents in other namespaces, sorted by namespace and name."""
    trusted_namespaces: TrustedNamespaces = DEFAULT_TRUST
    csi_driver: bool | None = False
    """True if Datadog's CSI driver is registered; None if the operator cannot see CSI drivers."""
    is_visible: bool = True
    """True if the operator can see DaemonSets."""
    is_refused: bool = False
    """True if the API server refuses the DaemonSets, so the node agents may have changed or may exist unseen."""
    is_extended: bool = False
    """True if there are node agents of an ExtendedDaemonSet. Their pods are visible, but not their settings."""

    unreadable: tuple[str, ...] = ()
    """DaemonSets of Datadog, as namespace/name, whose content cannot be parsed."""

    @property
    def are_complete(self) -> bool:
        """Return True if an empty list of node agents proves that there is no trusted node agent."""
        return not (
            not self.is_visible or self.is_refused or self.is_extended or bool(self.unreadable)
        )

    @property
    def node_agent(self) -> NodeAgent | None:
        """The first node agent. Messages use it if the nodes of the agents do not select another."""
        return self.node_agents[0] if self.node_agents else None


NO_DATADOG = DatadogFacts()


class PodSecurity(StrEnum):
    """Pod Security level of a namespace."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"
    UNKNOWN = "unknown"
    """The operator cannot see the labels of the namespace."""

    @property
    def allows_host_paths(self) -> bool | None:
        """Return True if pods may mount folders of the node (hostPath); None if it is not known."""
        return None if self is PodSecurity.UNKNOWN else self is PodSecurity.PRIVILEGED


ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"


def pod_security(labels: Mapping[str, str]) -> PodSecurity:
    """Return the level that a namespace with these labels enforces.

    PRIVILEGED is returned if the label is missing or is not a level. An API server can have another default level; if
    so, the message of a rejected pod reports it.
    """
    try:
        return PodSecurity(labels.get(ENFORCE_LABEL, PodSecurity.PRIVILEGED))
    except ValueError:
        return PodSecurity.PRIVILEGED

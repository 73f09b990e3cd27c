"""What is known about the Datadog node agents of a cluster: values only.

`None` and `Switch.UNKNOWN` say that something cannot be seen from here; neither ever means "off".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from purpleflea_operator.datadog.detection.placement import ANYWHERE, Placement


class Installer(StrEnum):
    """What installed the node agent."""

    HELM = "Helm"
    OPERATOR = "Operator"


class Switch(StrEnum):
    """State of a feature that may be hidden from us (values from other objects, mounted configuration)."""

    ON = "On"
    OFF = "Off"
    UNKNOWN = "Unknown"


def worst(states: Iterable[Switch]) -> Switch:
    """What can be said of several together: one that is off is told before one that cannot be seen."""
    found = set(states)
    return next((item for item in (Switch.OFF, Switch.UNKNOWN) if item in found), Switch.ON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where a receiver of the node agent listens."""

    host_port: int | None = None
    """Its number on the node, where it is open there."""
    is_declared: bool = True
    """Whether it is the one of its name in the pod: a Service goes by that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A UNIX socket of the node agent: its folder on the node, and its name in there."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of a container of the node agent."""

    container: str
    name: str
    value: str = "true"
    """What it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """How one signal (metrics or traces) is taken in."""

    state: Switch = Switch.OFF
    port: Port | None = None
    """Where it listens; None: nowhere, or only to its own pod."""
    socket: Socket | None = None
    blocked_by: Variable | None = None
    """The user's own variable that turns it off, closes it to other pods, or moves it from its declared port: no other
    setting opens it."""


OFF = Receiver()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalService:
    """The Service by which pods reach the node agent of their own node. None: it does not serve that signal."""

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
    dogstatsd: Receiver = OFF
    apm: Receiver = OFF
    logs: Switch = Switch.UNKNOWN
    logs_blocked_by: Variable | None = None
    """The user's own variable that turns logs off in spite of the installation's."""
    service: LocalService | None = None
    """The node-local Service, where it exists."""
    placement: Placement = ANYWHERE
    """Nodes that the DaemonSet may run on."""
    is_ready: bool = False
    """Whether every node that the DaemonSet wants has a ready node agent."""
    invalid_values: tuple[str, ...] = ()
    """Reasons why values of the DaemonSet or of its Service cannot be used."""
    nodes: int = field(default=0, compare=False)
    """Nodes that the DaemonSet wants. No part of the facts: each new node would concern every agent."""

    @property
    def is_for_linux(self) -> bool:
        """Whether it runs where agents run."""
        return dict(self.placement.node_selector).get("kubernetes.io/os", "linux") == "linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatadogFacts:
    """All node agents found, in an order that does not change with their state. Empty: none is installed."""

    node_agents: tuple[NodeAgent, ...] = ()
    csi_driver: bool | None = False
    """Whether Datadog's CSI driver is registered; None: not to be seen."""
    is_visible: bool = True
    """Whether DaemonSets can be seen at all."""
    is_extended: bool = False
    """Whether there are node agents of an ExtendedDaemonSet: they are seen, their settings are not."""

    unreadable: tuple[str, ...] = ()
    """DaemonSets of Datadog, as namespace/name, whose content cannot be read."""

    @property
    def are_complete(self) -> bool:
        """Whether no node agent found means that there is none."""
        return self.is_visible and not self.is_extended and not self.unreadable

    @property
    def node_agent(self) -> NodeAgent | None:
        """The first of the node agents: the one to speak of where no node decides."""
        return self.node_agents[0] if self.node_agents else None


NO_DATADOG = DatadogFacts()


class PodSecurity(StrEnum):
    """What a namespace allows its pods."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"
    UNKNOWN = "unknown"
    """The namespace's labels cannot be seen."""

    @property
    def allows_host_paths(self) -> bool | None:
        """Whether folders of the node may be mounted; None: not known."""
        return None if self is PodSecurity.UNKNOWN else self is PodSecurity.PRIVILEGED


ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"


def pod_security(labels: Mapping[str, str]) -> PodSecurity:
    """What a namespace with these labels allows. Without a label, as with one that is no level, nothing is enforced
    (an API server may be configured otherwise: then the refusal of a pod says so)."""
    try:
        return PodSecurity(labels.get(ENFORCE_LABEL, PodSecurity.PRIVILEGED))
    except ValueError:
        return PodSecurity.PRIVILEGED

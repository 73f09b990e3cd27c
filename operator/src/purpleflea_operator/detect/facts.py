"""What is known about the Datadog node agent: values only."""

from dataclasses import dataclass, field
from enum import StrEnum


class Installer(StrEnum):
    """What installed the node agent."""

    HELM = "Helm"
    OPERATOR = "Operator"


class Switch(StrEnum):
    """State of a feature that may be hidden from us (values from other objects, mounted configuration)."""

    ON = "On"
    OFF = "Off"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One receiver of the node agent: its number in the cluster, and on the node where it is open there."""

    number: int
    on_host: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAgent:
    """One DaemonSet of Datadog node agents."""

    installer: Installer
    name: str
    namespace: str
    release: str
    chart_version: str | None = None
    agent_version: str | None = None
    dogstatsd: Port | None = None
    apm: Port | None = None
    logs: Switch = Switch.UNKNOWN
    is_ready: bool = False
    """Whether every node that the DaemonSet wants has a ready node agent."""
    nodes: int = field(default=0, compare=False)
    """Nodes that the DaemonSet wants. No part of the facts: each new node would concern every agent."""
    service: bool = False
    """Whether the node-local Service of the same name exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatadogFacts:
    """All node agents found, the one that agents report to first. Empty: none is installed."""

    node_agents: tuple[NodeAgent, ...] = ()

    @property
    def node_agent(self) -> NodeAgent | None:
        """The node agent that agents report to."""
        return self.node_agents[0] if self.node_agents else None


NO_DATADOG = DatadogFacts()

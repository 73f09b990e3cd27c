"""Node agents + what the user asked for -> the way by which agents reach the one of their node.

`Auto` takes what the installation offers, the way that carries most signals first, in the order HostIP, Service,
Socket, CSI, then the one that most nodes have; and it keeps the way that agents already have for as long as that is
still as good: each change restarts them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from purpleflea_contract import environment as env
from purpleflea_operator.datadog.detection.facts import (
    DatadogFacts,
    NodeAgent,
    PodSecurity,
    Port,
    Socket,
)

CLUSTER_DOMAIN = "svc.cluster.local"
FAULTS = 5
"""Values that cannot be used, as many as a message names."""


class ConnectionMode(StrEnum):
    """How agents reach the node agent, in the order in which `Auto` prefers them."""

    HOST_IP = "HostIP"
    SERVICE = "Service"
    SOCKET = "Socket"
    CSI = "CSI"
    NONE = "None"


Wanted = Literal["Auto", "HostIP", "Service", "Socket", "CSI", "Disabled"]


class Refusal(StrEnum):
    """Why there is no connection although a node agent exists."""

    NOT_OFFERED = "NotOffered"
    """The installation has no such way."""
    POD_SECURITY = "PodSecurity"
    """The namespace allows no folder of the node."""
    NOT_VISIBLE = "NotVisible"
    """Whether the namespace allows it cannot be seen."""
    RESTART_BUDGET = "RestartBudget"
    """Agents of other resources restart for theirs first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The way to the node agent. `host` is empty for HostIP: each pod learns it from its node."""

    mode: ConnectionMode
    host: str = ""
    dogstatsd_port: int | None = None
    apm_port: int | None = None
    dogstatsd_socket: Socket | None = None
    apm_socket: Socket | None = None
    refusal_message: str = ""
    """Why what was asked for is not to be had; what agents had before is then kept."""
    refusal: Refusal | None = None

    @property
    def supports_metrics(self) -> bool:
        """Whether metrics have a way."""
        return bool(self.dogstatsd_port or self.dogstatsd_socket)

    @property
    def supports_traces(self) -> bool:
        """Whether traces have a way."""
        return bool(self.apm_port or self.apm_socket)


NO_CONNECTION = Connection(mode=ConnectionMode.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a namespace, and what agents have already, say about the choice."""

    security: PodSecurity = PodSecurity.PRIVILEGED
    current: Connection | None = None
    """The connection that was injected last."""
    waits_for_node_agent: bool = False
    """Whether an agent without a connection would wait for one instead of trading."""

    @property
    def retained(self) -> Connection | None:
        """The connection that was injected last, if agents may keep it.

        Where the namespace has come to forbid sockets, no pod that mounts them can be made again: one restart, one at
        a time and unheard, is better than identities that do not come back. Not where they would wait to be heard.
        """
        by_socket = self.current is not None and self.current.mode is ConnectionMode.SOCKET
        is_forbidden = by_socket and self.security.allows_host_paths is False
        return None if is_forbidden and not self.waits_for_node_agent else self.current


NO_CONSTRAINTS = Constraints()


def selected_connection(
    facts: DatadogFacts, wanted: Wanted, constraints: Constraints = NO_CONSTRAINTS
) -> Connection:
    """The connection to inject; mode None where there is none. `refused` says why it is not the one wanted."""
    if wanted == "Disabled":
        return NO_CONNECTION
    had = constraints.retained
    if facts.node_agent is None:
        return had or (NO_CONNECTION if facts.are_complete else _trusted(wanted))
    offered = [
        item
        for agent in facts.node_agents
        if agent.is_for_linux
        for item in _offers(agent, facts)
        if wanted in ("Auto", item.mode) and _is_allowed(item, constraints.security, wanted)
    ]
    if offered:
        best = min(offered, key=lambda item: (*_cost(item), -_nodes(facts, item)))
        return had if had in offered and _cost(had)[0] <= _cost(best)[0] else best
    refusal, text = _refusal(facts, wanted, constraints.security)
    # A way that is gone for a while costs nothing; a rolling restart of trading agents does.
    return replace(had or NO_CONNECTION, refusal=refusal, refusal_message=text)


def _trusted(wanted: Wanted) -> Connection:
    """What was asked for by name where nothing can be seen, as Datadog's installers set it up by default."""
    match wanted:
        case "HostIP":
            return Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
        case "Socket" | "CSI":
            folder = "/var/run/datadog"
            return Connection(
                mode=ConnectionMode(wanted),
                dogstatsd_socket=Socket(folder=folder, name="dsd.socket"),
                apm_socket=Socket(folder=folder, name="apm.socket"),
            )
        case _:
            return NO_CONNECTION


def receives_metrics(agent: NodeAgent, way: Connection) -> bool:
    """Whether the metrics of agents on the node of this node agent are heard by this way."""
    return _offer(agent, way) is not None


def receives_traces(agent: NodeAgent, way: Connection) -> bool:
    """Whether the traces of agents on the node of this node agent are heard by this way."""
    found = _offer(agent, way)
    return (
        found is not None
        and way.supports_traces
        and (found.apm_port, found.apm_socket) == (way.apm_port, way.apm_socket)
    )


def _offer(agent: NodeAgent, way: Connection) -> Connection | None:
    """What a node agent offers by the way that metrics take; None where it does not take them there."""
    offers = _offers(agent, DatadogFacts(csi_driver=True))
    return next((item for item in offers if _metrics_way(item) == _metrics_way(way)), None)


def _nodes(facts: DatadogFacts, way: Connection) -> int:
    """How many nodes have a node agent that takes this way: of several node pools the largest is the best guess."""
    return sum(agent.nodes for agent in facts.node_agents if _offer(agent, way) == way)


def _metrics_way(item: Connection) -> tuple[object, ...]:
    return item.mode, item.host, item.dogstatsd_port, item.dogstatsd_socket


def _cost(item: Connection) -> tuple[int, int]:
    """Signals that are left out, then the order of the modes."""
    missing = (not item.supports_metrics) + (not item.supports_traces)
    return missing, list(ConnectionMode).index(item.mode)


def _offers(agent: NodeAgent, facts: DatadogFacts) -> Iterator[Connection]:
    """The ways that carry at least metrics."""
    found = [_by_host(agent), _by_service(agent), _by_socket(agent, ConnectionMode.SOCKET)]
    if facts.csi_driver:
        found.append(_by_socket(agent, ConnectionMode.CSI))
    return (item for item in found if item is not None and item.supports_metrics)


def _by_host(agent: NodeAgent) -> Connection:
    dogstatsd, apm = agent.dogstatsd.port, agent.apm.port
    return Connection(
        mode=ConnectionMode.HOST_IP,
        dogstatsd_port=dogstatsd.host_port if dogstatsd else None,
        apm_port=apm.host_port if apm else None,
    )


def _by_service(agent: NodeAgent) -> Connection | None:
    if agent.service is None:
        return None
    # The Service lists its ports even where nothing listens behind them.
    return Connection(
        mode=ConnectionMode.SERVICE,
        host=f"{agent.service.name}.{agent.namespace}.{CLUSTER_DOMAIN}",
        dogstatsd_port=agent.service.dogstatsd_port if _is_behind(agent.dogstatsd.port) else None,
        apm_port=agent.service.apm_port if _is_behind(agent.apm.port) else None,
    )


def _is_behind(port: Port | None) -> bool:
    """Whether a Service leads to the port."""
    return port is not None and port.is_declared


def _by_socket(agent: NodeAgent, mode: ConnectionMode) -> Connection:
    metrics, traces = agent.dogstatsd.socket, agent.apm.socket
    if mode is ConnectionMode.CSI:
        # Folders of the node are the driver's own affair; what counts is whether the sockets lie together.
        is_shared = metrics and traces and metrics.folder == traces.folder
        metrics = metrics and replace(metrics, folder=env.SOCKETS_DIR)
        folder = env.SOCKETS_DIR if is_shared else env.APM_SOCKETS_DIR
        traces = traces and replace(traces, folder=folder)
    return Connection(mode=mode, dogstatsd_socket=metrics, apm_socket=traces)


def _is_allowed(item: Connection, security: PodSecurity, wanted: Wanted) -> bool:
    """A socket needs a folder of the node. Asked for by name it is tried where we cannot see; never by Auto."""
    if item.mode is not ConnectionMode.SOCKET:
        return True
    allowed = security.allows_host_paths
    return allowed is True or (allowed is None and wanted == "Socket")


def _refusal(facts: DatadogFacts, wanted: Wanted, security: PodSecurity) -> tuple[Refusal, str]:
    """Why there is no such way, and what to do."""
    linux = [agent for agent in facts.node_agents if agent.is_for_linux]
    has_socket = any(agent.dogstatsd.socket for agent in linux)
    if has_socket and wanted in ("Auto", "Socket") and security.allows_host_paths is False:
        return (
            Refusal.POD_SECURITY,
            f"the namespace's Pod Security level {security} forbids the sockets' hostPath volume",
        )
    if wanted == "CSI" and facts.csi_driver is None:
        return Refusal.NOT_VISIBLE, "whether Datadog's CSI driver is registered cannot be seen"
    if wanted == "Auto" and has_socket and security is PodSecurity.UNKNOWN:
        return (
            Refusal.NOT_VISIBLE,
            "only sockets are offered, and whether the namespace allows them cannot be seen",
        )
    if wanted == "CSI" and facts.csi_driver:
        wanted = "Socket"  # The driver is there; what it would pass on is not.
    return Refusal.NOT_OFFERED, _missing(wanted, linux) + _faults(linux)


def _faults(agents: Iterable[NodeAgent]) -> str:
    """The values of node agents that cannot be used, as a supplement to a refusal."""
    found = [
        f"{agent.namespace}/{agent.name}: {item}"
        for agent in agents
        for item in agent.invalid_values
    ]
    return f" ({'; '.join(found[:FAULTS])})" if found else ""


def _missing(wanted: Wanted, agents: Iterable[NodeAgent]) -> str:
    match wanted:
        case "HostIP":
            return "no port of the node takes metrics"
        case "Service":
            names = ", ".join(sorted(f"{agent.namespace}/{agent.name}" for agent in agents))
            return f"no node-local Service of {names} takes metrics"
        case "Socket":
            return "no socket of the node agent lies in a folder of the node"
        case "CSI":
            return "Datadog's CSI driver is not registered"
        case _:
            return "no port of the node, node-local Service or socket takes metrics"

"""Select the connection through which agents reach the node agent of their node.

`Auto` selects the offered connection with the most signals. If several have the same signals, the sequence is HostIP,
Service, Socket, CSI, and then the connection that most nodes offer. Agents keep their current connection as long as it
is still offered with the same signals, because each change restarts them. They do not keep a connection to a node agent
that is not trusted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, assert_never

from purpleflea_contract import environment as env
from purpleflea_operator.datadog.detection.facts import (
    DatadogFacts,
    NodeAgent,
    PodSecurity,
    ReceiverPort,
    Socket,
)

CLUSTER_DOMAIN = "svc.cluster.local"
MAX_INVALID_VALUES = 5
"""Number of invalid values that a message lists."""


class ConnectionMode(StrEnum):
    """Types of connection to the node agent, in the sequence in which `Auto` prefers them."""

    HOST_IP = "HostIP"
    SERVICE = "Service"
    SOCKET = "Socket"
    CSI = "CSI"
    NONE = "None"
    SIDECAR = "Sidecar"
    """A Datadog agent in the same pod. It is used only on request, as is the next one."""
    ENDPOINT = "Endpoint"
    """An address in the spec."""

    @property
    def is_explicit(self) -> bool:
        """Return True if the connection does not depend on a detected node agent."""
        return self in (ConnectionMode.SIDECAR, ConnectionMode.ENDPOINT)


RequestedConnection = Literal["Auto", "HostIP", "Service", "Socket", "CSI", "Disabled"]
"""Values of spec.datadog.connection that depend on the detected node agents."""
LOOPBACK = "127.0.0.1"


class Refusal(StrEnum):
    """Reason why agents do not get the requested connection although a node agent exists."""

    NOT_OFFERED = "NotOffered"
    """The installation does not offer the connection."""
    POD_SECURITY = "PodSecurity"
    """The namespace forbids volumes of type hostPath."""
    NOT_VISIBLE = "NotVisible"
    """The operator cannot see if the namespace or the cluster allows the connection."""
    RESTART_BUDGET = "RestartBudget"
    """Agents of other resources restart for their new connection first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Addresses of the node agent for agents. `host` is empty for HostIP, because each pod uses its own node."""

    mode: ConnectionMode
    host: str = ""
    dogstatsd_port: int | None = None
    apm_port: int | None = None
    dogstatsd_container_port: int | None = field(default=None, compare=False)
    """Port of the receiver for metrics behind `dogstatsd_port`; None if it is not known. Only the NetworkPolicy uses
    it, so it does not distinguish connections."""
    apm_container_port: int | None = field(default=None, compare=False)
    """Port of the receiver for traces behind `apm_port`; None if it is not known."""
    dogstatsd_socket: Socket | None = None
    apm_socket: Socket | None = None
    refusal_message: str = ""
    """Why the requested connection is not available; agents then keep their current connection."""
    refusal: Refusal | None = None

    @property
    def supports_metrics(self) -> bool:
        """Return True if the connection has an address for metrics."""
        return bool(self.dogstatsd_port or self.dogstatsd_socket)

    @property
    def supports_traces(self) -> bool:
        """Return True if the connection has an address for traces."""
        return bool(self.apm_port or self.apm_socket)


NO_CONNECTION = Connection(mode=ConnectionMode.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Limits on the selection that come from the namespace and from the current connection of the agents."""

    security: PodSecurity = PodSecurity.PRIVILEGED
    current: Connection | None = None
    """The connection that was injected last."""
    waits_for_node_agent: bool = False
    """True if an agent without a connection waits for one instead of trading (whenMissing: Hold)."""

    @property
    def retained(self) -> Connection | None:
        """The current connection, if agents may keep it.

        If the namespace now forbids hostPath volumes, a pod that mounts a socket could not be recreated. Agents then
        lose the connection in one rolling restart, because agents without telemetry are better than identities whose
        pods cannot be recreated. The exception is `waits_for_node_agent`, because such an agent would not trade without
        a connection.
        """
        uses_socket = self.current is not None and self.current.mode is ConnectionMode.SOCKET
        is_forbidden = uses_socket and self.security.allows_host_paths is False
        return None if is_forbidden and not self.waits_for_node_agent else self.current


NO_CONSTRAINTS = Constraints()


def selected_connection(
    facts: DatadogFacts, requested: RequestedConnection, constraints: Constraints = NO_CONSTRAINTS
) -> Connection:
    """Return the connection to inject. The mode is NONE if there is none; `refusal` is the reason."""
    if requested == "Disabled":
        return NO_CONNECTION
    current = constraints.retained
    if (
        current is not None
        and not constraints.waits_for_node_agent
        and uses_untrusted_node_agent(current, facts)
    ):
        current = None
    if facts.node_agent is None:
        return current or (NO_CONNECTION if facts.are_complete else _assumed(requested))
    candidates = [
        candidate
        for agent in facts.node_agents
        if agent.is_for_linux
        for candidate in _offered(agent, facts)
        if requested in ("Auto", candidate.mode)
        and _is_allowed(candidate, constraints.security, requested)
    ]
    if candidates:
        best = min(candidates, key=lambda item: (*_rank(item), -_node_count(facts, item)))
        # The offer equals the current connection, and it has the container ports of today.
        same = next((item for item in candidates if item == current), None)
        return same if same is not None and _rank(same)[0] <= _rank(best)[0] else best
    refusal, message = _refusal(facts, requested, constraints.security)
    # Keep the current connection, because an address without a receiver costs less than a rolling restart of agents.
    return replace(current or NO_CONNECTION, refusal=refusal, refusal_message=message)


def uses_untrusted_node_agent(connection: Connection, facts: DatadogFacts) -> bool:
    """Return True if the receiver of a connection is a node agent that is not trusted.

    The host of a Service contains its namespace, so the Service alone proves it. The other connections name a port or a
    folder of the node. They lead to an untrusted node agent if it is the only one that offers the same address. If
    trusted node agents may exist that the operator cannot read, nothing is proven.
    """
    if connection.mode is ConnectionMode.SERVICE:
        return _namespace_of_host(connection.host) not in facts.trusted_namespaces
    if not facts.are_complete or any(receives_metrics(a, connection) for a in facts.node_agents):
        return False
    return any(
        item.node_agent is not None and receives_metrics(item.node_agent, connection)
        for item in facts.untrusted
    )


def _namespace_of_host(host: str) -> str:
    """Return the namespace in the host of a Service, which is name.namespace.svc.cluster.local."""
    return host.removesuffix(f".{CLUSTER_DOMAIN}").rpartition(".")[2]


def _assumed(requested: RequestedConnection) -> Connection:
    """Return the connection as Datadog's installers set it up by default, if the operator cannot see node agents.

    Only a connection that is requested by name is assumed. A Service has no default name, so it cannot be assumed.
    """
    match requested:
        case "HostIP":
            return Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
        case "Socket" | "CSI":
            folder = "/var/run/datadog"
            return Connection(
                mode=ConnectionMode(requested),
                dogstatsd_socket=Socket(folder=folder, name="dsd.socket"),
                apm_socket=Socket(folder=folder, name="apm.socket"),
            )
        case "Auto" | "Service" | "Disabled":
            return NO_CONNECTION
        case _:
            assert_never(requested)


def receives_metrics(agent: NodeAgent, connection: Connection) -> bool:
    """Return True if the node agent receives metrics that agents on its node send through the connection."""
    return _matching_offer(agent, connection) is not None


def receives_traces(agent: NodeAgent, connection: Connection) -> bool:
    """Return True if the node agent receives traces that agents on its node send through the connection."""
    offer = _matching_offer(agent, connection)
    return (
        offer is not None
        and connection.supports_traces
        and (offer.apm_port, offer.apm_socket) == (connection.apm_port, connection.apm_socket)
    )


def _matching_offer(agent: NodeAgent, connection: Connection) -> Connection | None:
    """Return the offer of a node agent with the same address for metrics; None if it does not have this address."""
    offers = _offered(agent, DatadogFacts(csi_driver=True))
    address = _metrics_address(connection)
    return next((item for item in offers if _metrics_address(item) == address), None)


def _node_count(facts: DatadogFacts, connection: Connection) -> int:
    """Return the number of nodes whose node agent offers the connection; the largest node pool is the best guess."""
    return sum(
        agent.nodes
        for agent in facts.node_agents
        if _matching_offer(agent, connection) == connection
    )


def _metrics_address(connection: Connection) -> tuple[object, ...]:
    return (
        connection.mode,
        connection.host,
        connection.dogstatsd_port,
        connection.dogstatsd_socket,
    )


def _rank(connection: Connection) -> tuple[int, int]:
    """Return the number of signals without an address, then the position of the mode; a smaller value is better."""
    missing = (not connection.supports_metrics) + (not connection.supports_traces)
    return missing, list(ConnectionMode).index(connection.mode)


def _offered(agent: NodeAgent, facts: DatadogFacts) -> Iterator[Connection]:
    """Yield the connections of a node agent that accept at least metrics."""
    offers = [_host_ip(agent), _service(agent), _socket(agent, ConnectionMode.SOCKET)]
    if facts.csi_driver:
        offers.append(_socket(agent, ConnectionMode.CSI))
    return (item for item in offers if item is not None and item.supports_metrics)


def _host_ip(agent: NodeAgent) -> Connection:
    dogstatsd, apm = agent.dogstatsd.port, agent.apm.port
    return Connection(
        mode=ConnectionMode.HOST_IP,
        dogstatsd_port=dogstatsd.host_port if dogstatsd else None,
        apm_port=apm.host_port if apm else None,
        dogstatsd_container_port=_container_port(dogstatsd),
        apm_container_port=_container_port(apm),
    )


def _container_port(port: ReceiverPort | None) -> int | None:
    return None if port is None else port.container_port


def _service(agent: NodeAgent) -> Connection | None:
    if agent.service is None:
        return None
    # The Service lists its ports even if the node agent does not listen on them.
    return Connection(
        mode=ConnectionMode.SERVICE,
        host=f"{agent.service.name}.{agent.namespace}.{CLUSTER_DOMAIN}",
        dogstatsd_port=agent.service.dogstatsd_port
        if _is_service_target(agent.dogstatsd.port)
        else None,
        apm_port=agent.service.apm_port if _is_service_target(agent.apm.port) else None,
        dogstatsd_container_port=_container_port(agent.dogstatsd.port),
        apm_container_port=_container_port(agent.apm.port),
    )


def _is_service_target(port: ReceiverPort | None) -> bool:
    return port is not None and port.is_declared


def _socket(agent: NodeAgent, mode: ConnectionMode) -> Connection:
    metrics, traces = agent.dogstatsd.socket, agent.apm.socket
    if mode is ConnectionMode.CSI:
        # The driver selects the folders of the node. Agents only need to know if both sockets are in one folder.
        is_shared = metrics and traces and metrics.folder == traces.folder
        metrics = metrics and replace(metrics, folder=env.SOCKETS_DIR)
        folder = env.SOCKETS_DIR if is_shared else env.APM_SOCKETS_DIR
        traces = traces and replace(traces, folder=folder)
    return Connection(mode=mode, dogstatsd_socket=metrics, apm_socket=traces)


def _is_allowed(
    connection: Connection, security: PodSecurity, requested: RequestedConnection
) -> bool:
    """Return True if the namespace allows the connection. A socket needs a hostPath volume.

    If the operator cannot see the level of the namespace, a socket is tried if it is requested by name, but not if the
    request is `Auto`.
    """
    if connection.mode is not ConnectionMode.SOCKET:
        return True
    allowed = security.allows_host_paths
    return allowed is True or (allowed is None and requested == "Socket")


def _refusal(
    facts: DatadogFacts, requested: RequestedConnection, security: PodSecurity
) -> tuple[Refusal, str]:
    """Return the reason and the message if the requested connection is not available."""
    agents = [agent for agent in facts.node_agents if agent.is_for_linux]
    has_socket = any(agent.dogstatsd.socket for agent in agents)
    if has_socket and requested in ("Auto", "Socket") and security.allows_host_paths is False:
        return (
            Refusal.POD_SECURITY,
            f"the namespace's Pod Security level {security} forbids the sockets' hostPath volume{_closed(agents)}",
        )
    if requested == "CSI" and facts.csi_driver is None:
        return (
            Refusal.NOT_VISIBLE,
            "the operator cannot see if Datadog's CSI driver is registered",
        )
    if requested == "Auto" and has_socket and security is PodSecurity.UNKNOWN:
        return (
            Refusal.NOT_VISIBLE,
            "only sockets are available, and the operator cannot see if the namespace allows them",
        )
    # With a registered driver, CSI is missing because the node agent has no socket for the driver to mount.
    missing = "Socket" if requested == "CSI" and facts.csi_driver else requested
    closed = "" if missing == "Socket" else _closed(agents)
    return Refusal.NOT_OFFERED, _not_offered(missing, agents) + closed + _invalid_values(agents)


def _closed(agents: Iterable[NodeAgent]) -> str:
    """Return the variables that close ports for metrics as a supplement to a message; empty if there are none."""
    texts = [
        f"{agent.namespace}/{agent.name} accepts no metrics from other pods until {variable.name} of its container "
        f"{variable.container} is {variable.value}"
        for agent in agents
        if (variable := agent.dogstatsd.blocked_by) is not None
    ]
    return f"; {'; '.join(texts[:MAX_INVALID_VALUES])}" if texts else ""


def _invalid_values(agents: Iterable[NodeAgent]) -> str:
    """Return the invalid values of node agents as a supplement to a message; empty if there are none."""
    texts = [
        f"{agent.namespace}/{agent.name}: {item}"
        for agent in agents
        for item in agent.invalid_values
    ]
    return f" ({'; '.join(texts[:MAX_INVALID_VALUES])})" if texts else ""


def _not_offered(requested: RequestedConnection, agents: Iterable[NodeAgent]) -> str:
    match requested:
        case "HostIP":
            return "no port of the node accepts metrics"
        case "Service":
            names = ", ".join(sorted(f"{agent.namespace}/{agent.name}" for agent in agents))
            return f"no node-local Service of {names} accepts metrics"
        case "Socket":
            return "the node agent has no socket in a folder of the node"
        case "CSI":
            return "Datadog's CSI driver is not registered"
        case "Auto" | "Disabled":
            return "no port of the node, node-local Service or socket accepts metrics"
        case _:
            assert_never(requested)

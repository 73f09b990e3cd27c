"""DatadogInstalled and TelemetryReady: the node agent, and its connection to every agent with all signals. Pure.

TelemetryReady reports the first problem, from the installation down to the single pod, with the command that fixes it.
"""

from collections.abc import Callable, Sequence

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions import remedies
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import (
    is_dropping,
    losing_telemetry,
    not_injected,
    waiting,
)
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import (
    MAX_EXPLAINED,
    join_limited,
    qualified_name,
)
from purpleflea_operator.controllers.agent.decisions.conditions.signals import signal_off, signals
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import progress
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.connection import (
    ConnectionMode,
    Refusal,
    receives_metrics,
)
from purpleflea_operator.datadog.detection.coverage import UncoveredNode, receiving_node_agents
from purpleflea_operator.datadog.detection.facts import DatadogFacts, NodeAgent, Switch


def datadog_installed(observed: ObservedState) -> Finding:
    """Return DatadogInstalled."""
    kind, facts = ConditionType.DATADOG_INSTALLED, observed.datadog
    node_agent = facts.node_agent
    if facts.is_refused:
        message = (
            "the API server refuses the list or the watch of the DaemonSets, so changes of the node agents are unknown "
            "and agents keep their connection. Grant list and watch on daemonsets (apps) with the chart's ClusterRole: "
            f"{remedies.GRANT}"
        )
        return finding(kind, Reason.NOT_VISIBLE, message)
    if node_agent is None and observed.connection.mode.is_explicit:
        message = (
            f"spec.datadog.connection is {observed.connection.mode}, so no node agent is needed; "
            "checks and logs are collected only if the Datadog agent of the spec does it"
        )
        return finding(kind, Reason.EXPLICIT, message)
    if node_agent is None:
        return _not_installed(observed)
    if not node_agent.is_for_linux:
        message = (
            f"{qualified_name(node_agent)} does not run on Linux nodes, so the agents run without monitoring. "
            f"To install a node agent for Linux: {remedies.INSTALL}{_ignored(facts)}"
        )
        return finding(kind, Reason.NONE_FOR_LINUX, message)
    version = f" (chart {node_agent.chart_version})" if node_agent.chart_version else ""
    others = join_limited([qualified_name(item) for item in facts.node_agents[1:]], MAX_EXPLAINED)
    also = f"; also {others}" if others else ""
    message = f"DaemonSet {qualified_name(node_agent)}, installed by {node_agent.installer}{version}{also}"
    message += _ignored(facts)
    return finding(kind, Reason.FOUND, message)


def _ignored(facts: DatadogFacts) -> str:
    """Return the untrusted node agents as an addition to a message; empty if there are none."""
    names = join_limited([qualified_name(item) for item in facts.untrusted], MAX_EXPLAINED)
    return f"; ignored, because its namespace is not trusted: {names}" if names else ""


def _not_installed(observed: ObservedState) -> Finding:
    kind, facts = ConditionType.DATADOG_INSTALLED, observed.datadog
    if not facts.is_visible:
        message = (
            "the operator cannot see DaemonSets, because it is bound to namespaces. "
            "Set the connection in spec.datadog.connection, let the operator read the node agents (chart value "
            "telemetryRights), or bind the operator to the whole cluster (chart value watchNamespaces)"
        )
        return finding(kind, Reason.NOT_VISIBLE, message)
    if facts.is_extended:
        message = (
            "the node agents belong to an ExtendedDaemonSet, whose settings cannot be read. Set the connection in "
            f"spec.datadog.connection, or run the node agents in a DaemonSet: {remedies.NO_EXTENDED}"
        )
        return finding(kind, Reason.EXTENDED_DAEMON_SET, message)
    if facts.unreadable:
        names = join_limited(list(facts.unreadable), MAX_EXPLAINED)
        message = (
            f"the settings of the DaemonSets {names} cannot be read. Correct the DaemonSets, or set the connection in "
            "spec.datadog.connection"
        )
        return finding(kind, Reason.NOT_VISIBLE, message)
    if facts.untrusted:
        names = join_limited([qualified_name(item) for item in facts.untrusted], MAX_EXPLAINED)
        message = (
            f"the only Datadog node agents are in namespaces that are not trusted ({names}), so they are not used and "
            "the agents run without monitoring. If you trust every user who may create objects in the namespace: "
            f"{remedies.trust(facts.trusted_namespaces, facts.untrusted)}. Otherwise install a node agent in "
            f"{join_limited(facts.trusted_namespaces.names)}"
        )
        return finding(kind, Reason.UNTRUSTED_NODE_AGENT, message)
    message = (
        "no Datadog node agent is installed, so the agents run without monitoring. "
        f"To install it: {remedies.INSTALL}"
    )
    return finding(kind, Reason.NOT_FOUND, message)


def telemetry_ready(observed: ObservedState) -> Finding:
    """Return TelemetryReady. If the spec is invalid, its last valid version is evaluated, because that is running."""
    if observed.agent is None and observed.connection.mode is ConnectionMode.NONE:
        message = (
            "the spec is invalid, and no connection of its last valid version is known; "
            "see the condition SpecValid"
        )
        return _telemetry(Reason.SPEC_INVALID, message)
    if observed.agent is not None and observed.agent.spec.datadog.connection == "Disabled":
        message = (
            "spec.datadog.connection is Disabled, so the agents send no telemetry; "
            "to connect them, set it to Auto"
        )
        return _telemetry(Reason.DISABLED, message)
    if observed.connection.mode.is_explicit:
        return _explicit(observed)
    serving = receiving_node_agents(observed.datadog, observed.connection, observed.coverage)
    if not serving or not serving[0].node_agent.is_for_linux:
        return _no_node_agent(observed)
    for check in _CHECKS:
        problem = check(observed, serving[0].node_agent)
        if problem is not None:
            return problem
    accepted = signals(observed)
    unknown = [name for name, state in accepted.items() if state is Switch.UNKNOWN]
    hidden = f"; it is unknown whether it accepts {' and '.join(unknown)}" if unknown else ""
    message = (
        f"{_ready(observed)} agents are connected to their node agent through {observed.connection.mode}: "
        f"{', '.join(accepted)}{hidden}"
    )
    return _telemetry(Reason.CONNECTED, message)


def _explicit(observed: ObservedState) -> Finding:
    """Return TelemetryReady for an address of the spec. Only the agents show if it receives their telemetry."""
    connection = observed.connection
    names = [pod.name for pod in observed.pods if is_dropping(observed, pod)]
    if names:
        message = (
            f"{join_limited(sorted(names), MAX_EXPLAINED)} drop telemetry (telemetry_dropped_by_signal in their "
            f"/v1/status). Check that a Datadog agent listens at {connection.host}, for metrics on UDP port "
            f"{connection.dogstatsd_port} and for traces on TCP port {connection.apm_port}"
        )
        return _telemetry(Reason.TELEMETRY_LOST, message)
    problem = waiting(observed, None)
    if problem is not None:
        return problem
    message = f"{_ready(observed)} agents send their telemetry through {connection.mode} to {connection.host}"
    return _telemetry(Reason.CONNECTED, message)


def _ready(observed: ObservedState) -> str:
    replicas = (observed.stateful_set or {}).get("spec", {}).get("replicas", 0)
    return f"{progress(observed)[0]}/{replicas}"


def _no_node_agent(observed: ObservedState) -> Finding:
    if not observed.datadog.are_complete:
        mode = observed.connection.mode
        used = (
            "agents send nothing"
            if mode is ConnectionMode.NONE
            else f"agents use {mode}, which is not verified"
        )
        message = (
            f"the operator cannot see which signals the node agent accepts; {used}. "
            "See the condition DatadogInstalled"
        )
        return _telemetry(Reason.NOT_VISIBLE, message)
    held = sum(pod.waiting_for_node_agent for pod in observed.pods)
    waits = f"; {held} waiting for a node agent (whenMissing: Hold)" if held else ""
    subject = "trusted Datadog node agent" if observed.datadog.untrusted else "Datadog node agent"
    message = f"no {subject} is installed{waits}. See the condition DatadogInstalled"
    return _telemetry(Reason.NODE_AGENT_MISSING, message)


def _refused(observed: ObservedState, node_agent: NodeAgent) -> Finding | None:
    """Report why agents do not have the requested connection."""
    current = observed.connection
    if not current.refusal_message:
        return None
    has_none = current.mode is ConnectionMode.NONE
    kept = "" if has_none else f"; agents keep {current.mode}"
    if current.refusal is Refusal.RESTART_BUDGET:
        until_then = f"{kept} until then" if kept else ""
        return _telemetry(Reason.WAITING_FOR_AGENTS, current.refusal_message + until_then)
    if node_agent.dogstatsd.state is Switch.OFF:
        message = f"the node agent does not accept metrics{kept}. To turn metrics on: {remedies.metrics(node_agent)}"
        return _telemetry(Reason.METRICS_OFF, message)
    if current.refusal is Refusal.NOT_VISIBLE:
        message = (
            f"{current.refusal_message}{kept}. Let the operator read the node agents (chart value telemetryRights), "
            "bind the operator to the whole cluster (chart value watchNamespaces), or request another connection by "
            "name in spec.datadog.connection"
        )
        return _telemetry(Reason.NOT_VISIBLE, message)
    if current.refusal is Refusal.POD_SECURITY:
        effect = (
            "; agents send nothing"
            if has_none
            else f"{kept}, and pods that terminate cannot be recreated"
        )
        message = (
            f"{current.refusal_message}{effect}. To open a port of the nodes instead: {remedies.metrics(node_agent)}, "
            "and set spec.datadog.connection to Auto"
        )
        return _telemetry(Reason.POD_SECURITY, message)
    wanted = observed.agent.spec.datadog.connection if observed.agent is not None else "Auto"
    is_auto = wanted == "Auto"
    offered = "a connection" if is_auto else "this connection"
    alternative = "" if is_auto else ", or set spec.datadog.connection to Auto"
    command = remedies.offer(node_agent, wanted, csi_driver=bool(observed.datadog.csi_driver))
    message = f"{current.refusal_message}{kept}. To offer {offered}: {command}{alternative}"
    return _telemetry(Reason.NO_CONNECTION, message)


def _uncovered(observed: ObservedState, node_agent: NodeAgent) -> Finding | None:
    """Report agents on nodes without a ready node agent."""
    missing = observed.coverage.uncovered
    if not missing:
        return None
    nodes = {item.node for item in missing}
    connected = sum(1 for pod in observed.pods if pod.node and pod.node not in nodes)
    held = sum(pod.waiting_for_node_agent for pod in observed.pods)
    waits = f"; {held} waiting for it (whenMissing: Hold)" if held else ""
    where = join_limited([f"{item.node} ({item.reason})" for item in missing], MAX_EXPLAINED)
    # The first node agent that serves this connection shows why node agents do not run on a node.
    serving = (
        item for item in observed.datadog.node_agents if receives_metrics(item, observed.connection)
    )
    command = remedies.allow_on_node(next(serving, node_agent), _decisive_reason(missing))
    step = "list its pods" if " get pods " in command else "run it there"
    message = (
        f"{connected}/{len(observed.pods)} agents are connected; no node agent serves {where}{waits}. "
        f"To {step}: {command}"
    )
    return _telemetry(Reason.NODES_UNCOVERED, message)


def _decisive_reason(missing: Sequence[UncoveredNode]) -> str:
    """Return the first reason that a command can fix, else the first reason."""
    fixable = [item.reason for item in missing if item.reason.startswith(remedies.FIXABLE)]
    return (fixable or [item.reason for item in missing])[0]


def _not_visible(observed: ObservedState, node_agent: NodeAgent) -> Finding | None:
    """Report that nodes cannot be seen, or that the DaemonSet is not ready if it is the only evidence."""
    if observed.coverage.is_visible:
        return None
    if not node_agent.is_ready:
        message = f"not every pod of the node agent is ready. To list them: {remedies.list_pods(node_agent)}"
        return _telemetry(Reason.NODE_AGENT_NOT_READY, message)
    message = (
        "the operator cannot see nodes or pods, so it is unknown whether each node has a node agent. "
        "Grant list and watch on nodes and pods with the chart's ClusterRole: set the chart value telemetryRights, or "
        "bind the operator to the whole cluster (chart value watchNamespaces)"
    )
    return _telemetry(Reason.NOT_VISIBLE, message)


_CHECKS: tuple[Callable[[ObservedState, NodeAgent], Finding | None], ...] = (
    _refused,
    _uncovered,
    signal_off,
    not_injected,
    losing_telemetry,
    _not_visible,
    waiting,
)


def _telemetry(reason: Reason, message: str) -> Finding:
    return finding(ConditionType.TELEMETRY_READY, reason, message)

"""Is there a Datadog node agent, and is every agent heard by one, with all that it sends? Pure.

The first shortcoming found is told, from the installation down to the single pod, each with the command that fixes it.
"""

from collections.abc import Callable, Sequence

from purpleflea_operator.api.agent_status import ConditionStatus, ConditionType
from purpleflea_operator.controllers.agent.conditions import remedies
from purpleflea_operator.controllers.agent.conditions.delivery import (
    losing_telemetry,
    not_injected,
    waiting,
)
from purpleflea_operator.controllers.agent.conditions.finding import (
    EXPLAINED,
    Finding,
    finding,
    named,
    some,
)
from purpleflea_operator.controllers.agent.conditions.reasons import DatadogReason, TelemetryReason
from purpleflea_operator.controllers.agent.conditions.signals import signal_off, signals
from purpleflea_operator.controllers.agent.conditions.workload_available import progress
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.connection import (
    ConnectionMode,
    Refusal,
    receives_metrics,
)
from purpleflea_operator.datadog.detection.coverage import UncoveredNode, receiving_node_agents
from purpleflea_operator.datadog.detection.facts import NodeAgent, Switch


def datadog_installed(world: ObservedState) -> Finding:
    """Is there a Datadog node agent in the cluster?"""
    kind, facts = ConditionType.DATADOG_INSTALLED, world.datadog
    found = facts.node_agent
    if found is None and not facts.is_visible:
        message = (
            "DaemonSets cannot be seen: the operator is bound to namespaces. "
            "Name the connection in spec.datadog.connection, or bind it to the whole cluster"
        )
        return finding(kind, "Unknown", DatadogReason.NOT_VISIBLE, message)
    if found is None and facts.is_extended:
        message = (
            "node agents of an ExtendedDaemonSet are there, whose settings cannot be read: name the connection in "
            f"spec.datadog.connection, or have them made by a DaemonSet: {remedies.NO_EXTENDED}"
        )
        return finding(kind, "Unknown", DatadogReason.EXTENDED_DAEMON_SET, message)
    if found is None and facts.unreadable:
        names = some(list(facts.unreadable), EXPLAINED)
        message = (
            f"the node agents {names} cannot be read. Correct their DaemonSets, or name the connection in "
            "spec.datadog.connection"
        )
        return finding(kind, "Unknown", DatadogReason.NOT_VISIBLE, message)
    if found is None:
        message = (
            "no Datadog node agent was found; agents run unobserved. "
            f"Install it: {remedies.INSTALL}"
        )
        return finding(kind, "False", DatadogReason.NOT_FOUND, message)
    if not found.is_for_linux:
        message = (
            f"{named(found)} runs on no Linux node; agents run unobserved. "
            f"Install one for Linux: {remedies.INSTALL}"
        )
        return finding(kind, "False", DatadogReason.NONE_FOR_LINUX, message)
    version = f" (chart {found.chart_version})" if found.chart_version else ""
    others = some([named(item) for item in facts.node_agents[1:]], EXPLAINED)
    also = f"; also {others}" if others else ""
    message = f"DaemonSet {named(found)}, installed by {found.installer}{version}{also}"
    return finding(kind, "True", DatadogReason.FOUND, message)


def telemetry_ready(world: ObservedState) -> Finding:
    """Do metrics, traces and logs of every agent have a way to a ready node agent?

    Of an agent whose spec is invalid, what runs is judged: its last valid version.
    """
    if world.agent is None and world.connection.mode is ConnectionMode.NONE:
        message = "the spec is invalid, and no connection of its last valid version is known"
        return _telemetry("Unknown", TelemetryReason.SPEC_INVALID, message)
    if world.agent is not None and world.agent.spec.datadog.connection == "Disabled":
        message = "spec.datadog.connection is Disabled"
        return _telemetry("False", TelemetryReason.DISABLED, message)
    heard = receiving_node_agents(world.datadog, world.connection, world.coverage)
    if not heard or not heard[0].node_agent.is_for_linux:
        return _no_node_agent(world)
    for check in _CHECKS:
        problem = check(world, heard[0].node_agent)
        if problem is not None:
            return problem
    unknown = [name for name, state in signals(world).items() if state is Switch.UNKNOWN]
    hidden = f"; cannot be seen: whether it takes {' and '.join(unknown)}" if unknown else ""
    message = (
        f"{_reached(world)} agents reach their node agent by {world.connection.mode}: "
        f"{', '.join(signals(world))}{hidden}"
    )
    return _telemetry("True", TelemetryReason.CONNECTED, message)


def _reached(world: ObservedState) -> str:
    wanted = (world.stateful_set or {}).get("spec", {}).get("replicas", 0)
    return f"{progress(world)[0]}/{wanted}"


def _no_node_agent(world: ObservedState) -> Finding:
    if not world.datadog.are_complete:
        way = world.connection.mode
        used = "agents send nothing" if way is ConnectionMode.NONE else f"agents use {way} unproven"
        message = f"what the node agent takes cannot be seen; {used}"
        return _telemetry("Unknown", TelemetryReason.NOT_VISIBLE, message)
    held = [item for item in world.pods if item.held]
    waiting = f"; {len(held)} agents wait for one (whenMissing: Hold)" if held else ""
    message = f"no Datadog node agent was found{waiting}"
    return _telemetry("False", TelemetryReason.NODE_AGENT_MISSING, message)


def _refused(world: ObservedState, found: NodeAgent) -> Finding | None:
    way = world.connection
    if not way.refusal_message:
        return None
    kept = "" if way.mode is ConnectionMode.NONE else f"; agents keep {way.mode} until then"
    if way.refusal is Refusal.RESTART_BUDGET:
        return _telemetry("Unknown", TelemetryReason.WAITING_FOR_AGENTS, way.refusal_message + kept)
    if found.dogstatsd.state is Switch.OFF:
        message = f"the node agent takes no metrics. Turn them on: {remedies.metrics(found)}"
        return _telemetry("False", TelemetryReason.METRICS_OFF, message + kept)
    if way.refusal is Refusal.NOT_VISIBLE:
        return _telemetry("Unknown", TelemetryReason.NOT_VISIBLE, way.refusal_message + kept)
    if way.refusal is Refusal.POD_SECURITY:
        message = (
            f"{way.refusal_message}. Open the node's ports: {remedies.metrics(found)}, "
            "and set spec.datadog.connection to Auto"
        )
        lasts = (
            "; agents send nothing"
            if way.mode is ConnectionMode.NONE
            else f"{kept}; who ends does not return"
        )
        return _telemetry("False", TelemetryReason.POD_SECURITY, message + lasts)
    wanted = world.agent.spec.datadog.connection if world.agent is not None else "Auto"
    command = remedies.offer(found, wanted, csi_driver=bool(world.datadog.csi_driver))
    message = (
        f"{way.refusal_message}. Offer it: {command}, or set spec.datadog.connection to Auto{kept}"
    )
    return _telemetry("False", TelemetryReason.NO_CONNECTION, message)


def _uncovered(world: ObservedState, found: NodeAgent) -> Finding | None:
    missing = world.coverage.uncovered
    if not missing:
        return None
    nodes = {item.node for item in missing}
    heard = sum(1 for pod in world.pods if pod.node and pod.node not in nodes)
    held = sum(1 for pod in world.pods if pod.held)
    where = some([f"{item.node} ({item.reason})" for item in missing], EXPLAINED)
    waiting = f"; {held} wait for it (whenMissing: Hold)" if held else ""
    # What keeps node agents away is told of the first that serves.
    serving = (
        item for item in world.datadog.node_agents if receives_metrics(item, world.connection)
    )
    command = remedies.let_on(next(serving, found), _told(missing))
    step = "See" if " get pods " in command else "Let it run there"
    message = f"{heard}/{len(world.pods)} agents are heard, missing on {where}{waiting}. {step}: {command}"
    return _telemetry("False", TelemetryReason.NODES_UNCOVERED, message)


def _told(missing: Sequence[UncoveredNode]) -> str:
    """The first reason that a command mends, else the first."""
    mended = [item.reason for item in missing if item.reason.startswith(remedies.MENDED)]
    return (mended or [item.reason for item in missing])[0]


def _unseen(world: ObservedState, found: NodeAgent) -> Finding | None:
    if world.coverage.is_visible:
        return None
    if not found.is_ready:
        message = f"not every node agent is ready: {remedies.look(found)}"
        return _telemetry("False", TelemetryReason.NODE_AGENT_NOT_READY, message)
    message = "nodes cannot be seen, so whether each has a node agent is not known"
    return _telemetry("Unknown", TelemetryReason.NOT_VISIBLE, message)


_CHECKS: tuple[Callable[[ObservedState, NodeAgent], Finding | None], ...] = (
    _refused,
    _uncovered,
    signal_off,
    not_injected,
    losing_telemetry,
    _unseen,
    waiting,
)


def _telemetry(status: ConditionStatus, reason: TelemetryReason, message: str) -> Finding:
    return finding(ConditionType.TELEMETRY_READY, status, reason, message)

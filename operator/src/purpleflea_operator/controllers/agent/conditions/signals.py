"""What agents send, and whether all node agents that hear them take it: each node pool may have its own. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions import remedies
from purpleflea_operator.controllers.agent.conditions.finding import (
    EXPLAINED,
    Finding,
    finding,
    named,
    some,
)
from purpleflea_operator.controllers.agent.conditions.reasons import TelemetryReason
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.connection import ConnectionMode, receives_traces
from purpleflea_operator.datadog.detection.coverage import ReceivingNodeAgent, receiving_node_agents
from purpleflea_operator.datadog.detection.facts import NodeAgent, Switch, worst


def signals(world: ObservedState) -> dict[str, Switch]:
    """What the agents send, and whether all node agents that hear them take it."""
    heard = [item.node_agent for item in _hearers(world)]
    takes = {
        "metrics": worst(item.dogstatsd.state for item in heard),
        "traces": worst(item.apm.state for item in heard),
        "logs": worst(item.logs for item in heard),
    }
    return {signal: state for signal, state in takes.items() if signal in _sent(world)}


def signal_off(world: ObservedState, _found: NodeAgent) -> Finding | None:
    """Traces or logs that a node agent does not take, of agents on its nodes."""
    sent, heard = _sent(world), _hearers(world)
    for gap in _gaps(world):
        lacking = [item for item in heard if gap.signal in sent and gap.lacks(item.node_agent)]
        if lacking:
            step = gap.remedy(lacking[0].node_agent)
            message = f"{_extent(world, heard, lacking, gap)}. Change that: {step}"
            return finding(ConditionType.TELEMETRY_READY, "False", gap.reason, message)
    return None


def _hearers(world: ObservedState) -> tuple[ReceivingNodeAgent, ...]:
    return receiving_node_agents(world.datadog, world.connection, world.coverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """One way to lose a signal."""

    signal: str
    reason: TelemetryReason
    lacks: Callable[[NodeAgent], bool]
    remedy: Callable[[NodeAgent], str]
    way: str = ""


def _gaps(world: ObservedState) -> tuple[_Gap, ...]:
    way = world.connection
    by_socket = way.mode in (ConnectionMode.SOCKET, ConnectionMode.CSI)
    traces = partial(remedies.traces, by_socket=by_socket)
    return (
        _Gap(
            signal="traces",
            reason=TelemetryReason.APM_OFF,
            lacks=lambda item: item.apm.state is Switch.OFF,
            remedy=traces,
        ),
        _Gap(
            signal="traces",
            reason=TelemetryReason.TRACES_UNREACHABLE,
            lacks=lambda item: not receives_traces(item, way),
            remedy=traces,
            way=f" by {way.mode}",
        ),
        _Gap(
            signal="logs",
            reason=TelemetryReason.LOGS_OFF,
            lacks=lambda item: item.logs is Switch.OFF,
            remedy=remedies.logs,
        ),
    )


def _sent(world: ObservedState) -> set[str]:
    if world.agent is None:
        # What is invalid does not say what agents send; metrics they all do.
        return {"metrics"}
    datadog = world.agent.spec.datadog
    wanted = {"metrics": True, "traces": datadog.apm.enabled, "logs": datadog.logs.enabled}
    return {signal for signal, is_sent in wanted.items() if is_sent}


def _extent(
    world: ObservedState,
    heard: Sequence[ReceivingNodeAgent],
    lacking: Sequence[ReceivingNodeAgent],
    gap: _Gap,
) -> str:
    """Who takes no such signal; where others do, how many agents have it, and which nodes lack it."""
    if len(lacking) == len(heard):
        return f"{some([named(item.node_agent) for item in lacking], EXPLAINED)} takes no {gap.signal}{gap.way}"
    nodes = {name: item.node_agent for item in lacking for name in item.nodes}
    pods = [pod for pod in world.pods if pod.node]
    taken = sum(pod.node not in nodes for pod in pods)
    where = some([f"{name} ({named(nodes[name])})" for name in sorted(nodes)], EXPLAINED)
    return f"{gap.signal} of {taken}/{len(pods)} agents are taken{gap.way}, missing on {where}"

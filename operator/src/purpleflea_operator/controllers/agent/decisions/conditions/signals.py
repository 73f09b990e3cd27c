"""Signals that agents send, and whether the node agents of their nodes accept them. Pure.

Each node pool may have a separate node agent with other settings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions import remedies
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import (
    MAX_EXPLAINED,
    join_limited,
    qualified_name,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.connection import ConnectionMode, receives_traces
from purpleflea_operator.datadog.detection.coverage import ReceivingNodeAgent, receiving_node_agents
from purpleflea_operator.datadog.detection.facts import NodeAgent, Switch, worst


def signals(observed: ObservedState) -> dict[str, Switch]:
    """Return the signals that the agents send, and whether all their node agents accept them."""
    node_agents = [item.node_agent for item in _serving(observed)]
    accepted = {
        "metrics": worst(item.dogstatsd.state for item in node_agents),
        "traces": worst(item.apm.state for item in node_agents),
        "logs": worst(item.logs for item in node_agents),
    }
    return {signal: state for signal, state in accepted.items() if signal in _sent(observed)}


def signal_off(observed: ObservedState, _node_agent: NodeAgent) -> Finding | None:
    """Report traces or logs that a node agent does not accept from the agents on its nodes."""
    sent, serving = _sent(observed), _serving(observed)
    for gap in _gaps(observed):
        lacking = [item for item in serving if gap.signal in sent and gap.lacks(item.node_agent)]
        if lacking:
            command = gap.remedy(lacking[0].node_agent)
            message = f"{_extent(observed, serving, lacking, gap)}. To change this: {command}"
            return finding(ConditionType.TELEMETRY_READY, gap.reason, message)
    return None


def _serving(observed: ObservedState) -> tuple[ReceivingNodeAgent, ...]:
    return receiving_node_agents(observed.datadog, observed.connection, observed.coverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """One cause of a lost signal."""

    signal: str
    reason: Reason
    lacks: Callable[[NodeAgent], bool]
    remedy: Callable[[NodeAgent], str]
    through: str = ""


def _gaps(observed: ObservedState) -> tuple[_Gap, ...]:
    connection = observed.connection
    by_socket = connection.mode in (ConnectionMode.SOCKET, ConnectionMode.CSI)
    traces = partial(remedies.traces, by_socket=by_socket)
    return (
        _Gap(
            signal="traces",
            reason=Reason.APM_OFF,
            lacks=lambda item: item.apm.state is Switch.OFF,
            remedy=traces,
        ),
        _Gap(
            signal="traces",
            reason=Reason.TRACES_UNREACHABLE,
            lacks=lambda item: not receives_traces(item, connection),
            remedy=traces,
            through=f" through {connection.mode}",
        ),
        _Gap(
            signal="logs",
            reason=Reason.LOGS_OFF,
            lacks=lambda item: item.logs is Switch.OFF,
            remedy=remedies.logs,
        ),
    )


def _sent(observed: ObservedState) -> set[str]:
    if observed.agent is None:
        # An invalid spec does not show which signals the agents send, but all agents send metrics.
        return {"metrics"}
    datadog = observed.agent.spec.datadog
    wanted = {"metrics": True, "traces": datadog.apm.enabled, "logs": datadog.logs.enabled}
    return {signal for signal, is_sent in wanted.items() if is_sent}


def _extent(
    observed: ObservedState,
    serving: Sequence[ReceivingNodeAgent],
    lacking: Sequence[ReceivingNodeAgent],
    gap: _Gap,
) -> str:
    """Return which node agents do not accept a signal; if others do, which nodes lack it."""
    if len(lacking) == len(serving):
        names = join_limited([qualified_name(item.node_agent) for item in lacking], MAX_EXPLAINED)
        return f"{gap.signal} are not accepted{gap.through} by {names}"
    nodes = {name: item.node_agent for item in lacking for name in item.nodes}
    pods = [pod for pod in observed.pods if pod.node]
    accepted = sum(pod.node not in nodes for pod in pods)
    named = [f"{name} ({qualified_name(nodes[name])})" for name in sorted(nodes)]
    where = join_limited(named, MAX_EXPLAINED)
    return f"{gap.signal} of {accepted}/{len(pods)} agents are accepted{gap.through}, but not on {where}"

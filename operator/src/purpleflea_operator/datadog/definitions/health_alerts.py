"""Alerts on the programs themselves: silent agents, lost telemetry, forgotten halts, a silent operator."""

from purpleflea_contract import metrics
from purpleflea_operator.datadog.definitions import operator_metrics
from purpleflea_operator.datadog.definitions.alert_conditions import (
    AGENT,
    BY_AGENT,
    GROUP_RETENTION_H,
    OPTIONS,
    condition,
    scope,
)
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience
from purpleflea_operator.datadog.definitions.operator_metrics import CLUSTER
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import of_metric, series

HEARTBEAT = "heartbeat"
"""Key of the monitor that downtimes mute."""
SECONDS_PER_HOUR = 3600
CLUSTER_NAME = f"{{{{{CLUSTER}.name}}}}"


def alerts(parameters: Parameters) -> tuple[Alert, ...]:
    """Return the alerts."""
    return (
        heartbeat(parameters),
        dropped_telemetry(parameters),
        halted(parameters),
        operator_silent(parameters),
    )


def heartbeat(parameters: Parameters) -> Alert:
    """Return the alert on an agent that completes no trading interval, and does not wait for the next one either.

    Missing data counts as zero, so the end of an agent has one state, Alert. With notify_no_data it would have two:
    the node agent sends zeros for five minutes (dogstatsd_expiry_seconds), and then nothing.
    """
    thresholds = parameters.thresholds.heartbeat
    beats = series(of_metric(metrics.HEARTBEAT), "sum", scope(parameters), by=BY_AGENT)
    return Alert(
        key=HEARTBEAT,
        name="no heartbeat",
        query=condition("sum", beats, thresholds),
        levels=thresholds.levels(),
        above=thresholds.fires_above,
        priority=1,
        audience=Audience.PAGING,
        text=f"No heartbeat from agent {AGENT} in the last {thresholds.window}: it completes no trading interval. The"
        " agent has crashed or is stuck, the exchange or its journal fails, or its node agent does not receive its"
        " metrics.\n"
        "Check the pod of the agent and its log, then the Datadog node agent on its node.",
        recovery=f"Agent {AGENT} sends heartbeats again, or has been gone for {GROUP_RETENTION_H} hours.",
        options={**OPTIONS, "timeout_h": GROUP_RETENTION_H},
    )


def dropped_telemetry(parameters: Parameters) -> Alert:
    """Return the alert on telemetry that an agent dropped.

    Until the telemetry is complete again, the other monitors evaluate incomplete data.
    """
    thresholds = parameters.thresholds.dropped_telemetry
    dropped = series(of_metric(metrics.TELEMETRY_DROPPED), "sum", scope(parameters), by=BY_AGENT)
    return Alert(
        key="dropped-telemetry",
        name="telemetry dropped",
        query=condition("sum", dropped, thresholds),
        levels=thresholds.levels(),
        audience=Audience.INFRASTRUCTURE,
        text=f"Agent {AGENT} dropped {{{{value}}}} telemetry packets in {thresholds.window}, because its node agent did"
        " not accept them. Until this ends, the other monitors use incomplete data.\n"
        "Check the Datadog node agent on the node of the agent.",
        recovery=f"Agent {AGENT} reports no more dropped telemetry.",
        options=OPTIONS,
    )


def halted(parameters: Parameters) -> Alert:
    """Return the alert on a halt that was probably forgotten. The operator reports the longest halt of the fleet."""
    thresholds = parameters.thresholds.halted
    longest = operator_metrics.of_fleet(operator_metrics.LONGEST_HALT, parameters)
    return Alert(
        key="halted",
        name="halted for long",
        query=condition("max", f"{longest} / {SECONDS_PER_HOUR}", thresholds),
        levels=thresholds.levels(),
        audience=Audience.TRADING,
        text=f"An agent in cluster {CLUSTER_NAME} has been halted for {{{{value}}}} hours and does not trade. The halt"
        " was forgotten, or its cause still exists.\n"
        "List the halts with kubectl get pfh,pfa --all-namespaces, and delete or renew the one that is too old.",
        recovery=f"No agent in cluster {CLUSTER_NAME} has been halted for so long.",
        options=OPTIONS,
    )


def operator_silent(parameters: Parameters) -> Alert:
    """Return the alert on an operator that sends no metrics, or of which no replica leads.

    The number of agents is never below zero, so only missing data alerts. A cluster that never reported has no group.
    """
    window = parameters.thresholds.operator_silent.window
    agents = operator_metrics.of_fleet(operator_metrics.AGENTS, parameters)
    text = (
        f"No operator reports the fleet in cluster {CLUSTER_NAME} for {window}. No replica runs or leads, the node"
        " agent does not scrape it, or the last agent of the fleet was deleted. Agents continue to trade, but a halt"
        " has no effect until the operator runs.\n"
        "Check the pods and the Lease of the operator, then the Datadog node agent on its node."
    )
    return Alert(
        key="operator-silent",
        name="operator silent",
        query=f"max(last_{window}):{agents} < 0",
        levels={"critical": 0},
        above=False,
        priority=1,
        audience=Audience.PAGING,
        text=text,
        no_data=text,
        recovery=f"The operator in cluster {CLUSTER_NAME} reports again, or has been gone for"
        f" {GROUP_RETENTION_H} hours.",
        options={
            **OPTIONS,
            "on_missing_data": "show_and_notify_no_data",
            "timeout_h": GROUP_RETENTION_H,
        },
    )

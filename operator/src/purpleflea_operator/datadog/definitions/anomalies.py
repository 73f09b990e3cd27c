"""Anomaly monitors for profit and order latency. They are optional, because Watchdog covers the common case.

An anomaly monitor needs weeks of history, and Datadog evaluates it once per agent.
"""

from purpleflea_contract import metrics, tags
from purpleflea_operator.datadog.definitions.alert_conditions import (
    AGENT,
    BY_AGENT,
    OR_GONE,
    SILENT_H,
    scope,
)
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters
from purpleflea_operator.datadog.definitions.queries import of_metric, series

HISTORY = "4h"
WINDOW = "last_15m"
DEVIATIONS = 3
ALL_POINTS = {"critical": 1, "critical_recovery": 0}
"""Shares of the points in the window: alert if all points are unusual, recover if none is."""
HISTORY_S = 4 * 3600
OPTIONS = {
    "notify_no_data": False,
    "require_full_window": False,
    # Everything is unusual for an agent that just started.
    "new_group_delay": HISTORY_S,
    "timeout_h": SILENT_H,
    "threshold_windows": {"trigger_window": WINDOW, "recovery_window": WINDOW},
}


def alerts(parameters: Parameters) -> tuple[Alert, ...]:
    """Return both anomaly alerts."""
    return (_profit(parameters), _latency(parameters))


def _query(expression: str, direction: str) -> str:
    return (
        f"avg(last_{HISTORY}):anomalies({expression}, 'agile', {DEVIATIONS}, direction='{direction}', "
        f"interval=60, alert_window='{WINDOW}', count_default_zero='true') >= 1"
    )


def _profit(parameters: Parameters) -> Alert:
    booked = series(
        of_metric(metrics.PNL),
        "sum",
        scope(parameters),
        where={tags.REALIZED: "true"},
        by=BY_AGENT,
    )
    return Alert(
        key="pnl-anomaly",
        name="unusual loss",
        query=_query(booked, "below"),
        levels=ALL_POINTS,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: booked profit is unusually low for this time. The market moved, or the strategy is losing"
        " money.\nCompare the agent with the other agents of its strategy and with the market.",
        recovery=f"Agent {AGENT}: booked profit is as usual again." + OR_GONE,
        options=OPTIONS,
        feature=Feature.ANOMALIES,
    )


def _latency(parameters: Parameters) -> Alert:
    p95 = series(of_metric(metrics.ORDER_LATENCY), "p95", scope(parameters), by=BY_AGENT)
    return Alert(
        key="order-latency-anomaly",
        name="unusual order latency",
        query=_query(p95, "above"),
        levels=ALL_POINTS,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: order latency is unusually high for this time. The exchange is slow, or the pod is"
        " throttled.\nCompare the agent with the other agents, then check its pod and node.",
        recovery=f"Agent {AGENT}: order latency is as usual again." + OR_GONE,
        options=OPTIONS,
        feature=Feature.ANOMALIES,
    )

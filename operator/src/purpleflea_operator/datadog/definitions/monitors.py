"""Monitors: one per risk, each a multi-alert by agent or by cluster.

The number of monitors does not depend on the number of agents. A new monitor needs a function in one of the modules of
alerts and its entry in `definitions`, a class and a field in `api.thresholds` if it has thresholds, a runbook with its
key as the name, and a row in the test that makes each monitor fire and recover. Anomaly monitors are optional.
"""

from purpleflea_operator.datadog.definitions import (
    anomalies,
    exchange_alerts,
    health_alerts,
    trading_alerts,
)
from purpleflea_operator.datadog.definitions.monitor_builder import monitor
from purpleflea_operator.datadog.definitions.objects import Definition
from purpleflea_operator.datadog.definitions.parameters import Parameters


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return all monitors. Monitors that others refer to come first."""
    alerts = (
        *trading_alerts.alerts(parameters),
        *exchange_alerts.alerts(parameters),
        *health_alerts.alerts(parameters),
        *anomalies.alerts(parameters),
    )
    return tuple(monitor(alert, parameters) for alert in alerts)

"""Monitor of failures in trading intervals: it names the class, so that it finds the cause that a heartbeat does not.

It also finds a failure that concerns only some of the markets of an agent, in which heartbeats continue.
"""

from purpleflea_contract import metrics, tags
from purpleflea_operator.datadog.definitions.alert_conditions import (
    AGENT,
    OPTIONS,
    condition,
    scope,
)
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import of_metric, series

CLASS = "{{error_type.name}}"


def interval_failures(parameters: Parameters) -> Alert:
    """Return the alert on failures in trading intervals, by agent and class."""
    thresholds = parameters.thresholds.interval_failures
    failures = series(
        of_metric(metrics.INTERVAL_FAILURES),
        "sum",
        scope(parameters),
        by=(tags.AGENT_ID, tags.ERROR_TYPE),
    )
    return Alert(
        key="interval-failures",
        name="trading intervals fail",
        query=condition("sum", failures, thresholds),
        levels=thresholds.levels(),
        priority=2,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: {{{{value}}}} failures of the class {CLASS} in the trading intervals of"
        f" {thresholds.window}. The strategy raises errors, the API key is refused, or the exchange or the journal"
        " fails.\n"
        "Check the log of the agent, and follow the runbook for the class.",
        recovery=f"Agent {AGENT}: trading intervals without failures of the class {CLASS} again.",
        options=OPTIONS,
    )

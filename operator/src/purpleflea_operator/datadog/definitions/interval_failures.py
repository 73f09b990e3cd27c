"""Monitor of failures in trading intervals: it names the class, so that it finds the cause that a heartbeat does not.

It also finds a failure that concerns only some of the markets of an agent, in which heartbeats continue.
"""

from purpleflea_contract import metrics, tags
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import number, of_metric, series

AGENT, CLASS = "{{agent_id.name}}", "{{error_type.name}}"


def interval_failures(parameters: Parameters) -> Alert:
    """Return the alert on failures in trading intervals, by agent and class."""
    thresholds = parameters.thresholds.interval_failures
    failures = series(
        of_metric(metrics.INTERVAL_FAILURES),
        "sum",
        (f"env:{parameters.env}", f"service:{parameters.service}"),
        by=(tags.AGENT_ID, tags.ERROR_TYPE),
    )
    critical = number(thresholds.critical)
    return Alert(
        key="interval-failures",
        name="trading intervals fail",
        query=f"sum(last_{thresholds.window}):{failures} > {critical}",
        levels=thresholds.levels(),
        priority=2,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: {{{{value}}}} failures of the class {CLASS} in the trading intervals of"
        f" {thresholds.window}. The strategy raises errors, the API key is refused, or the exchange or the journal"
        " fails.\n"
        "Check the log of the agent, and follow the runbook for the class.",
        options={
            "notify_no_data": False,
            "require_full_window": False,
            "new_group_delay": 60,
        },
    )

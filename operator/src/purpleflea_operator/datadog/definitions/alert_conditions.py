"""Parts that the alerts share: scope and condition of their queries, and their options for missing data and new groups.

Alerts themselves are defined in trading_alerts, exchange_alerts, health_alerts, anomalies and slo.
"""

from typing import Any, ClassVar, Protocol

from purpleflea_contract import tags
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import number

AGENT = "{{agent_id.name}}"
BY_AGENT = (tags.AGENT_ID,)
SILENT_H = 2
"""Hours without data after which an alert on a value resolves, because the group is gone. Silence itself is the
subject of the monitor heartbeat."""
GROUP_RETENTION_H = 24
"""Hours for which Datadog keeps a group without data (Datadog documentation, "Monitor status")."""
OR_GONE = f" The alert also ends if the agent sends no data for {SILENT_H} hours."
OPTIONS: dict[str, Any] = {
    # A missing count is zero. Any other missing value keeps the last status. With notify_no_data=false, an alert on a
    # count would stay until its group is dropped.
    "on_missing_data": "default",
    # Agents report at their trading interval, which may be longer than a bucket of the window.
    "require_full_window": False,
    "new_group_delay": 60,
    "timeout_h": SILENT_H,
}


class WindowedThresholds(Protocol):
    """Thresholds that are compared with a metric over a window."""

    fires_above: ClassVar[bool]

    @property
    def critical(self) -> float:
        """Level at which the monitor alerts."""
        ...

    @property
    def window(self) -> str:
        """Evaluation window, such as 5m."""
        ...


def scope(parameters: Parameters) -> tuple[str, str]:
    """Return the filters of the query of every monitor on telemetry of the agents."""
    return (f"env:{parameters.env}", f"service:{parameters.service}")


def condition(aggregation: str, expression: str, thresholds: WindowedThresholds) -> str:
    """Return the query of a metric monitor."""
    comparator = ">" if thresholds.fires_above else "<"
    critical = number(thresholds.critical)
    return f"{aggregation}(last_{thresholds.window}):{expression} {comparator} {critical}"

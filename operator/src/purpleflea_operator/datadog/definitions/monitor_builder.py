"""The shape that all monitors share: (what to watch, when, whom to tell) -> the body for the API.

It checks that thresholds lie in the order in which a monitor passes them. Which monitors there are: see monitors.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from purpleflea_operator.datadog.definitions.notification_targets import Target, handles
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters, Rule


class Audience(StrEnum):
    """Fields of Notifications."""

    PAGING = "paging"
    TRADING = "trading"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One monitor. `text` says what happened and what it means; `no_data` the same of silence."""

    key: str
    name: str
    query: str
    text: str
    audience: Audience
    rule: Rule | None = None
    above: bool = True
    type: str = "query alert"
    priority: int = 3
    recovery: str = "Back to normal."
    no_data: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    feature: Feature | None = None


def monitor(alert: Alert, parameters: Parameters) -> Definition:
    """The monitor as Datadog's API takes it. Raises ValueError where thresholds contradict each other."""
    options: dict[str, Any] = {"include_tags": True, "notify_audit": False}
    if alert.rule is not None:
        check_order(alert.key, alert.rule, above=alert.above)
        options |= {"thresholds": thresholds(alert.rule)}
    return Definition(
        kind=ObjectKind.MONITOR,
        key=alert.key,
        references=alert.references,
        feature=alert.feature,
        body={
            "name": f"Purple Flea agent: {alert.name}",
            "type": alert.type,
            "query": alert.query,
            "message": message(alert, parameters),
            "tags": [*parameters.tags, f"monitor:{alert.key}"],
            "priority": alert.priority,
            "options": options | alert.options,
        },
    )


def thresholds(rule: Rule) -> dict[str, float]:
    """Those thresholds of the rule that are set."""
    levels = {
        "critical": rule.critical,
        "critical_recovery": rule.critical_recovery,
        "warning": rule.warning,
        "warning_recovery": rule.warning_recovery,
    }
    return {name: value for name, value in levels.items() if value is not None}


def check_order(key: str, rule: Rule, *, above: bool) -> None:
    """Raise ValueError unless critical, its recovery, warning and its recovery follow one another."""
    levels = tuple(thresholds(rule).items())
    for (name, level), (lower_name, lower) in pairwise(levels):
        strict = not (name == "critical_recovery" and lower_name == "warning")
        if (level < lower if above else level > lower) or (strict and level == lower):
            side = "above" if above else "below"
            raise ValueError(f"{key}: {name} ({level:g}) must lie {side} {lower_name} ({lower:g})")


def message(alert: Alert, parameters: Parameters) -> str:
    """The notification: what happened, where to read on, and who is told in which state."""
    notifications = parameters.notifications
    told = getattr(notifications, alert.audience)
    warned = notifications.trading if alert.audience is Audience.PAGING else told
    parts = [_part("is_alert", alert.text, told)]
    if alert.rule is not None and alert.rule.warning is not None:
        parts.append(_part("is_warning", alert.text, warned))
    if alert.no_data:
        parts.append(_part("is_no_data", alert.no_data, told))
    parts.append(_part("is_recovery", alert.recovery, told))
    return "\n".join([*parts, f"Runbook: {parameters.runbooks_url}/{alert.key}.md"])


def _part(state: str, text: str, told: tuple[Target, ...]) -> str:
    lines = [f"{{{{#{state}}}}}", text, handles(told), f"{{{{/{state}}}}}"]
    return "\n".join(line for line in lines if line)

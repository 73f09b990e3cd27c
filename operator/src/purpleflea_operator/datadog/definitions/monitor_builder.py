"""Builder of monitors: an alert with query, levels and texts -> the request body for the API.

The builder checks the sequence of the levels. It does not define which monitors exist; see monitors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Any

from purpleflea_operator.api.thresholds import level_comparisons
from purpleflea_operator.datadog.definitions.notification_targets import Target, handles
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters
from purpleflea_operator.datadog.definitions.queries import number

STILL_WARNING = "The value is no longer critical, but it still exceeds the warning level."
COMPOSITE = "composite"
COMPARISONS = {">": gt, ">=": ge, "<": lt, "<=": le}


class Audience(StrEnum):
    """Recipients of a monitor: fields of Notifications."""

    PAGING = "paging"
    TRADING = "trading"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One monitor.

    `text` is the message of an alert and of a warning: the symptom, the likely cause and the remedy. `no_data` is the
    message if data is missing. `levels` has the sequence of LEVELS; `above` is False if the monitor fires below them.
    A monitor without an audience is only a part of a composite. `warns` is True for a composite
    whose warnings are notified.
    """

    key: str
    name: str
    query: str
    text: str
    audience: Audience | None = None
    levels: Mapping[str, float] = field(default_factory=dict)
    above: bool = True
    type: str = "query alert"
    priority: int = 3
    recovery: str = ""
    no_data: str = ""
    warns: bool = False
    halts: bool = False
    """True if the alert is a reason to halt the agent, so that it starts the workflows for it."""
    runbook: str = ""
    """Key of the monitor whose runbook applies; empty for the runbook of this monitor."""
    options: dict[str, Any] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    feature: Feature | None = None


def monitor(alert: Alert, parameters: Parameters) -> Definition:
    """Return the definition of the monitor.

    Raises:
        ValueError: The levels contradict each other.
    """
    options: dict[str, Any] = {"include_tags": True, "notify_audit": False}
    if alert.levels:
        check_levels(alert.key, alert.levels, above=alert.above)
        options |= {"thresholds": dict(alert.levels)}
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


def check_levels(key: str, levels: Mapping[str, float], *, above: bool) -> None:
    """Check that critical, its recovery, warning and its recovery follow each other.

    Raises:
        ValueError: Two adjacent levels are in the wrong sequence; the message names both.
    """
    side = "above" if above else "below"
    for name, sign, following in level_comparisons(levels, above=above):
        if not COMPARISONS[sign](levels[name], levels[following]):
            raise ValueError(
                f"{key}: {name} ({number(levels[name])}) must be {side} {following}"
                f" ({number(levels[following])})"
            )


def message(alert: Alert, parameters: Parameters) -> str:
    """Return the message: the text and the recipients of each state, and the link to the runbook."""
    link = f"Runbook: {parameters.runbooks_url}/{alert.runbook or alert.key}.md"
    if alert.audience is None:
        return f"{alert.text} This monitor sends no notification.\n{link}"
    alerted: tuple[Target, ...] = getattr(parameters.notifications, alert.audience)
    started = parameters.notifications.halt if alert.halts else ()
    parts = [_part("is_alert", alert.text, (*alerted, *started))]
    parts += _warnings(alert, alerted, parameters)
    # A recovery text belongs to an alert. is_recovery would also be true after a warning.
    parts.append(_part("is_alert_recovery", alert.recovery, alerted))
    if alert.no_data:
        parts.append(_part("is_no_data", alert.no_data, alerted))
        parts.append(_part("is_no_data_recovery", alert.recovery, alerted))
    return "\n".join([*parts, link])


def _warnings(alert: Alert, alerted: tuple[Target, ...], parameters: Parameters) -> Iterator[str]:
    is_notified = alert.warns or "warning" in alert.levels
    if is_notified:
        is_paging = alert.audience is Audience.PAGING
        warned = parameters.notifications.trading if is_paging else alerted
        yield _part("is_warning", alert.text, warned)
    if is_notified or alert.type == COMPOSITE:
        # The end of a warning is not notified, so this is the end of the alert.
        yield _part("is_alert_to_warning", STILL_WARNING, alerted)


def _part(state: str, text: str, recipients: tuple[Target, ...]) -> str:
    lines = [f"{{{{#{state}}}}}", text, handles(recipients), f"{{{{/{state}}}}}"]
    return "\n".join(line for line in lines if line)

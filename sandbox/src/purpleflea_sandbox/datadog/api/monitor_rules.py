"""Validation of monitors as the API does it, and the defaults that the server adds. Pure."""

from collections.abc import Mapping
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.api import references, shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import Document, Monitor, Organisation
from purpleflea_sandbox.datadog.queries import read, tree

CLIENT_FIELDS = (
    "name",
    "type",
    "query",
    "message",
    "tags",
    "options",
    "priority",
    "restricted_roles",
)
"""Fields of a monitor that clients set. All other fields in a request body are ignored, because the server sets them.
"""
_SERVER_FIELDS = ("org_id", "created_at", "overall_state_modified", "matching_downtimes")
"""Response fields that the request schema does not contain. They are accepted so that a response can be sent back."""

_DEFAULT_OPTIONS: Mapping[str, Any] = {
    "include_tags": True,
    "notify_audit": False,
    "silenced": {},
    "locked": False,
    "new_host_delay": 300,
    "escalation_message": "",
}
_METRIC_OPTIONS: Mapping[str, Any] = {
    "notify_no_data": False,
    "no_data_timeframe": None,
    "renotify_interval": None,
    "require_full_window": True,
    "timeout_h": None,
}
_RECOVERIES = ("critical_recovery", "warning_recovery")
_METRIC_TYPES = ("query alert", "metric alert")


def definition(organisation: Organisation, body: Document) -> Document:
    """Return the monitor as it is stored. Raises ApiError if the API would reject it."""
    if faults := shapes.faults(_without_server_fields(body), "v1.Monitor"):
        raise refused(400, *(f"The value provided is invalid: {fault}" for fault in faults))
    # Recorded in TestAccDatadogMonitor_TrimWhitespace.yaml of Terraform's provider.
    body = body | {name: body[name].strip() for name in ("query", "message") if name in body}
    kind = _kind(body["type"])
    condition = _condition(body["query"], kind)
    _check_references(organisation, condition)
    options = dict(body.get("options") or {})
    _check_options(kind, condition, options)
    defaults = {**_DEFAULT_OPTIONS, **(_METRIC_OPTIONS if kind in _METRIC_TYPES else {})}
    if "new_group_delay" in options:
        del defaults["new_host_delay"]
    comparison = getattr(condition, "comparison", None)
    if comparison is not None:
        given = options.get("thresholds") or {"critical": comparison.threshold}
        options["thresholds"] = {name: _number(value) for name, value in given.items()}
    return {
        "name": body.get("name") or body["query"],
        "type": kind,
        "query": body["query"],
        "message": body.get("message", ""),
        "tags": list(tagging.normalised_all(body.get("tags") or ())),
        "options": defaults | options,
        "priority": body.get("priority"),
        "restricted_roles": body.get("restricted_roles"),
    }


def updated(organisation: Organisation, monitor: Monitor, body: Document) -> Document:
    """Return the stored definition after an update; fields that the body omits keep their values. Raises ApiError."""
    if faults := shapes.faults(_without_server_fields(body), "v1.MonitorUpdateRequest"):
        raise refused(400, *(f"The value provided is invalid: {fault}" for fault in faults))
    merged = {name: monitor.definition[name] for name in CLIENT_FIELDS}
    merged |= {name: body[name] for name in CLIENT_FIELDS if name in body}
    merged = {name: value for name, value in merged.items() if value is not None}
    if _kind(merged["type"]) != monitor.definition["type"]:
        raise refused(400, "The monitor type cannot be changed")
    return definition(organisation, merged)


def duplicate(organisation: Organisation, definition: Document) -> Monitor | None:
    """Return an existing monitor with the same definition, or None."""
    return next(
        (monitor for monitor in organisation.monitors.values() if monitor.definition == definition),
        None,
    )


def groups_by(condition: tree.Condition) -> tuple[str, ...]:
    """Return the tags that a condition groups by; empty if it is a simple alert."""
    match condition:
        case tree.MetricCondition():
            leaves = tree.leaves(condition.expression)
            return leaves[0].by if leaves else ()
        case tree.LogCondition():
            return condition.by
        case _:
            return ()


def _kind(given: str) -> str:
    """Map both metric monitor types to one name, as Datadog does."""
    return "query alert" if given in _METRIC_TYPES else given


def _without_server_fields(body: Document) -> Document:
    return {name: value for name, value in body.items() if name not in _SERVER_FIELDS}


def _condition(query: str, kind: str) -> tree.Condition:
    try:
        return read.condition(query, kind)
    except read.UnreadableError as error:
        raise refused(
            400, f"The value provided for parameter 'query' is invalid: {error}"
        ) from error


def _check_references(organisation: Organisation, condition: tree.Condition) -> None:
    if isinstance(condition, tree.BurnRate) and condition.slo not in organisation.slos:
        raise refused(400, f"SLO not found: {condition.slo}")
    if isinstance(condition, tree.Member | tree.Negated | tree.Joined):
        for member in references.members(condition):
            monitor = organisation.monitors.get(member)
            if monitor is None or monitor.definition["type"] == "composite":
                raise refused(400, "Some monitor IDs are invalid")


def _check_options(kind: str, condition: tree.Condition, options: Document) -> None:
    comparison = getattr(condition, "comparison", None)
    thresholds = options.get("thresholds") or {}
    if comparison is None:
        return
    if thresholds and thresholds.get("critical") is None:
        raise refused(400, "Alert status is required.")
    critical = thresholds.get("critical", comparison.threshold)
    if float(critical) != comparison.threshold:
        raise refused(
            400,
            f"Alert threshold ({float(critical)}) does not match that used in the query "
            f"({comparison.threshold}).",
        )
    wrong = [name for name in _RECOVERIES if thresholds.get(name) is not None]
    if wrong and kind not in _METRIC_TYPES:
        raise refused(400, f"Invalid threshold statuses found: {', '.join(wrong)}.")
    _check_order(comparison.operator, critical, thresholds)


def _check_order(operator: str, critical: float, thresholds: Mapping[str, Any]) -> None:
    """Raise ApiError if an alert level and its recovery overlap, or if the warning level is beyond the alert level."""
    sign = 1 if operator.startswith(">") else -1
    for name, level in (("alert", critical), ("warning", thresholds.get("warning"))):
        recovery = thresholds.get("critical_recovery" if name == "alert" else "warning_recovery")
        if level is None or recovery is None:
            continue
        if sign * (level - recovery) < 0:
            raise refused(
                400,
                f"{name} and {name} recovery criteria are such that the monitor can be "
                f"simultaneously in {name} and {name} recovery states",
            )
    warning = thresholds.get("warning")
    if warning is not None and sign * (critical - warning) <= 0:
        direction = "above" if sign > 0 else "below"
        raise refused(400, f"Alert threshold ({critical}) must be {direction} warning ({warning}).")


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

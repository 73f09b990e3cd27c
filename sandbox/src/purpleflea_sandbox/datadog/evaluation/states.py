"""From a value to a status: thresholds with hysteresis, missing data, repeated notifications. Pure.

Each group has its own status. The status of a monitor is the worst status of its groups.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from purpleflea_sandbox.datadog.evaluation.group_values import GroupValue
from purpleflea_sandbox.datadog.queries import tree


class Status(StrEnum):
    """Statuses of a group, with Datadog's names."""

    OK = "OK"
    NO_DATA = "No Data"
    WARN = "Warn"
    ALERT = "Alert"


SEVERITY = (Status.OK, Status.NO_DATA, Status.WARN, Status.ALERT)
"""Statuses from the mildest to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """Alert conditions of a monitor. Durations are in seconds."""

    comparison: tree.Comparison
    warning: float | None = None
    critical_recovery: float | None = None
    warning_recovery: float | None = None
    window_s: float = 0
    needs_full_window: bool = False
    new_group_delay_s: float = 0
    no_data_after_s: float | None = None
    """If None, missing data does not change the status, or counts as 0."""
    resolves_when_missing: bool = False
    resolves_after_s: float | None = None
    """Time without data after which a triggered group resolves (timeout_h)."""
    renotify_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """State of a group. Times are in seconds; 0 means never."""

    status: Status
    value: float | None
    first_seen: float
    last_data: float
    changed: float
    triggered: float = 0
    resolved: float = 0
    no_data: float = 0
    notified: float = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """Status change that is notified. If both statuses are equal, it is a reminder."""

    before: Status
    after: Status

    @property
    def is_reminder(self) -> bool:
        return self.before is self.after


def alert_rule(
    comparison: tree.Comparison, window_s: float, options: Mapping[str, Any]
) -> AlertRule:
    """Create the alert rule from a monitor's options."""
    thresholds = options.get("thresholds") or {}
    missing = options.get("on_missing_data", "")
    shows = bool(options.get("notify_no_data")) or missing.startswith("show_")
    # on_missing_data uses the window of the query. no_data_timeframe belongs to the older notify_no_data.
    default_min = window_s / 60 if missing else max(2 * window_s / 60, 2)
    frame_min = options.get("no_data_timeframe") or default_min
    return AlertRule(
        comparison=comparison,
        warning=thresholds.get("warning"),
        critical_recovery=thresholds.get("critical_recovery"),
        warning_recovery=thresholds.get("warning_recovery"),
        window_s=window_s,
        needs_full_window=bool(options.get("require_full_window", False)),
        new_group_delay_s=options.get("new_group_delay") or 0,
        no_data_after_s=frame_min * 60 if shows else None,
        resolves_when_missing=missing == "resolve",
        resolves_after_s=(options.get("timeout_h") or 0) * 3600 or None,
        renotify_s=(options.get("renotify_interval") or 0) * 60,
    )


def step(
    rule: AlertRule,
    before: GroupState | None,
    current: GroupValue | None,
    now: float,
    *,
    zero: bool,
) -> GroupState | None:
    """Return the group's next state. Returns None if the group is unknown and has no data."""
    if before is None:
        if current is None:
            return None
        before = GroupState(
            status=Status.OK, value=None, first_seen=now, last_data=current.newest, changed=now
        )
    has_value = current is not None and current.value is not None
    state = replace(before, last_data=max(before.last_data, current.newest if current else 0))
    if now - state.first_seen < rule.new_group_delay_s:
        return replace(state, value=current.value if current else None)
    if rule.needs_full_window and current and current.oldest > now - rule.window_s * 0.9:
        return state
    if has_value and current is not None:
        return _set_status(
            replace(state, value=current.value), status_for(rule, state, current.value), now
        )
    return _without_data(rule, state, now, zero=zero)


def with_status(before: GroupState | None, status: Status, now: float) -> GroupState:
    """Return a group state with a status computed elsewhere, as for a composite."""
    new = GroupState(status=Status.OK, value=None, first_seen=now, last_data=now, changed=now)
    return _set_status(replace(before or new, last_data=now), status, now)


def status_for(rule: AlertRule, state: GroupState, value: float | None) -> Status:
    """Return the status for a value. If a group is in a state, it leaves it only beyond the recovery threshold."""
    if value is None:
        return state.status
    critical = rule.comparison.threshold
    if _breaches(rule, value, critical) or (
        state.status is Status.ALERT and _within_recovery(rule, value, rule.critical_recovery)
    ):
        return Status.ALERT
    if rule.warning is not None and _breaches(rule, value, rule.warning):
        return Status.WARN
    if state.status is Status.WARN and _within_recovery(rule, value, rule.warning_recovery):
        return Status.WARN
    return Status.OK


def transition(
    rule: AlertRule, before: GroupState | None, after: GroupState, now: float
) -> Transition | None:
    """Return the transition to notify after a step, or None."""
    past = before.status if before else Status.OK
    if past is not after.status:
        if after.status is Status.NO_DATA and rule.no_data_after_s is None:
            return None
        return Transition(past, after.status)
    due = rule.renotify_s and after.notified and now - after.notified >= rule.renotify_s
    if due and after.status in (Status.ALERT, Status.NO_DATA):
        return Transition(past, after.status)
    return None


def worst(groups: Iterable[GroupState], *, idle: Status) -> Status:
    """Return the status of a monitor: the worst of its groups, or `idle` if there is no group."""
    return max((state.status for state in groups), key=SEVERITY.index, default=idle)


def _without_data(rule: AlertRule, state: GroupState, now: float, *, zero: bool) -> GroupState:
    if rule.resolves_after_s is not None and now - state.last_data >= rule.resolves_after_s:
        return _set_status(replace(state, value=None), Status.OK, now)
    if rule.no_data_after_s is not None:
        if now - state.last_data < rule.no_data_after_s:
            return replace(state, value=None)
        return _set_status(replace(state, value=None), Status.NO_DATA, now)
    if rule.resolves_when_missing:
        return _set_status(replace(state, value=None), Status.OK, now)
    if zero:
        return _set_status(replace(state, value=0.0), status_for(rule, state, 0.0), now)
    return replace(state, value=None)


def _set_status(state: GroupState, status: Status, now: float) -> GroupState:
    if status is state.status:
        return state
    moment = {
        Status.ALERT: "triggered",
        Status.WARN: "triggered",
        Status.OK: "resolved",
        Status.NO_DATA: "no_data",
    }[status]
    return replace(state, status=status, changed=now, **{moment: now})


def _breaches(rule: AlertRule, value: float, threshold: float) -> bool:
    match rule.comparison.operator:
        case ">":
            return value > threshold
        case ">=":
            return value >= threshold
        case "<":
            return value < threshold
        case _:
            return value <= threshold


def _within_recovery(rule: AlertRule, value: float, recovery: float | None) -> bool:
    """Return True if the value has not reached the recovery threshold yet."""
    if recovery is None:
        return False
    return value > recovery if rule.comparison.operator.startswith(">") else value < recovery

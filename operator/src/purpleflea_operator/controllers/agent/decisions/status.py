"""The next status of an agent, and when to write it. Pure: it writes nothing and reads no clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from purpleflea_contract.control import Mode
from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import (
    AGENT_REASONS,
    IN_PROGRESS,
    WITHOUT_EVENTS,
)
from purpleflea_operator.api.reasons import Reason, Severity
from purpleflea_operator.controllers.agent.decisions import (
    metrics_budget,
    starting_pods,
    trading_mode,
)
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding
from purpleflea_operator.controllers.agent.decisions.datadog_status import datadog_status
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.manifests.metadata import selector

Status = dict[str, Any]


def next_status(
    current: Mapping[str, Any],
    observed: ObservedState,
    findings: Sequence[Finding],
    *,
    name: str,
    now: datetime,
) -> Status:
    """Return the status with these findings; lastTransitionTime changes only with the status of a condition."""
    live = (observed.stateful_set or {}).get("status", {})
    status: Status = {
        "observedGeneration": observed.generation,
        "replicas": live.get("replicas", 0),
        "readyReplicas": live.get("readyReplicas", 0),
        "updatedReplicas": live.get("updatedReplicas", 0),
        "selector": ",".join(f"{key}={value}" for key, value in selector(name).items()),
        "conditions": _conditions(
            current.get("conditions", []), findings, observed.generation, now
        ),
    }
    # If the spec is invalid, the last valid version keeps running.
    status |= {key: current[key] for key in ("trading", "customMetrics") if key in current}
    if trading_mode.desired_mode(observed) is not None:
        status["trading"] = _trading(observed, now)
    if observed.agent is not None:
        status["customMetrics"] = metrics_budget.status(observed.agent.spec)
    # Only an agent that did not start before its first status has the field, and it is removed at the start.
    is_recorded = "observedGeneration" not in current or "neverStarted" in current
    if observed.never_started and is_recorded:
        status["neverStarted"] = True
    datadog = datadog_status(observed)
    if datadog is not None:
        status["datadog"] = datadog
    return status


def with_trading(
    current: Mapping[str, Any], observed: ObservedState, finding: Finding, *, now: datetime
) -> Status:
    """Return the status of an agent that is being deleted: only the mode and its condition change."""
    if trading_mode.desired_mode(observed) in (None, Mode.ACTIVE) and "trading" not in current:
        return dict(current)
    known = current.get("conditions", [])
    (updated,) = _conditions(known, (finding,), observed.generation, now)
    conditions = [updated if item["type"] == finding.type else item for item in known]
    return {**current, "conditions": conditions, "trading": _trading(observed, now)}


def _conditions(
    current: Sequence[Mapping[str, Any]],
    findings: Sequence[Finding],
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    known = {item["type"]: item for item in current}
    conditions = []
    for finding in findings:
        old = known.get(finding.type, {})
        is_changed = old.get("status") != finding.status
        conditions.append(
            {
                "type": str(finding.type),
                "status": finding.status,
                "reason": finding.reason,
                "message": finding.message,
                "lastTransitionTime": _timestamp(now) if is_changed else old["lastTransitionTime"],
                "observedGeneration": generation,
            }
        )
    return conditions


def _trading(observed: ObservedState, now: datetime) -> dict[str, Any]:
    trading, asked = observed.trading, trading_mode.pods_to_acknowledge(observed)
    fields = {
        "mode": str(trading_mode.desired_mode(observed)),
        "since": _timestamp(trading.since or now),
        "changedBy": trading.changed_by,
        "reason": trading.reason,
        "halts": list(trading.halts),
        "running": len(asked) + len(starting_pods.starting_pods(observed)),
        "acknowledged": len(asked) - len(trading_mode.unacknowledged(observed)),
        "undone": list(trading_mode.incomplete(observed)),
    }
    # Empty fields are left out, because the API server does not return them and the status would always differ.
    return {key: value for key, value in fields.items() if value}


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_after_s(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, since_write_s: float
) -> float | None:
    """Return the seconds until `wanted` should be written: 0 for now, None if it is the current status."""
    if current == wanted:
        return None
    if _essence(current) != _essence(wanted):
        return 0.0
    return max(0.0, timings.STATUS_COUNTS_INTERVAL_S - since_write_s)


def is_only_progress(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, is_applied: bool = True
) -> bool:
    """Return whether `wanted` differs from a healthy status only because a change of the spec is rolling out.

    Clients already see that in the observedGeneration of the current status, as `kubectl wait` does. If a write of this
    pass failed, the repair of a child counts too, because it is repeated within seconds.
    """
    generation = current.get("observedGeneration")
    if generation is None or (is_applied and generation == wanted["observedGeneration"]):
        return False
    known = {item["type"]: item for item in current.get("conditions", [])}
    for item in wanted["conditions"]:
        old = known.get(item["type"], {})
        if (item["status"], item["reason"]) == (old.get("status"), old.get("reason")):
            continue
        if item["reason"] not in IN_PROGRESS or old.get("status") != "True":
            return False
    return any(item["reason"] in IN_PROGRESS for item in wanted["conditions"])


def is_only_start(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether `wanted` reports only that pods start as expected, in the first status or besides earlier pods.

    The scheduler may reject a new pod once, because it has not received the pod's claim yet, or the claim is not bound.
    """
    known = {
        item["type"]: (item["status"], item["reason"]) for item in current.get("conditions", ())
    }
    changed = [
        item
        for item in wanted["conditions"]
        if known.get(item["type"]) != (item["status"], item["reason"])
    ]
    severities = [
        Severity.IN_PROGRESS
        if item["reason"] == Reason.UNSCHEDULABLE
        else AGENT_REASONS.severity(item["type"], item["reason"])
        for item in changed
        if item["type"] not in WITHOUT_EVENTS
    ]
    if "observedGeneration" in current and not _is_only_rejection(changed):
        return False
    return Severity.IN_PROGRESS in severities and Severity.WARNING not in severities


def _is_only_rejection(changed: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the scheduler has rejected a pod, and the mode is as reported before."""
    is_rejected = any(item["reason"] == Reason.UNSCHEDULABLE for item in changed)
    return is_rejected and all(item["type"] != ConditionType.TRADING_ACTIVE for item in changed)


def _essence(status: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the fields that users wait for: all except counts and texts of messages."""
    conditions = [
        (item["type"], item["status"], item["reason"]) for item in status.get("conditions", [])
    ]
    datadog = {key: item for key, item in status.get("datadog", {}).items() if key != "nodes"}
    halts = status.get("trading", {}).get("halts", [])
    return conditions, status.get("observedGeneration"), status.get("selector"), datadog, halts

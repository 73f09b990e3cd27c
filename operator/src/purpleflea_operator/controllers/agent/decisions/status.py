"""Findings and world -> the next status, and whether it is worth a write now. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.api.explanations.agent import IN_PROGRESS
from purpleflea_operator.controllers.agent.conditions.finding import Finding
from purpleflea_operator.controllers.agent.decisions import metrics_budget, trading_mode
from purpleflea_operator.controllers.agent.decisions.datadog_status import datadog_status
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.manifests.metadata import selector

Status = dict[str, Any]


def next_status(
    current: Mapping[str, Any],
    world: ObservedState,
    findings: Sequence[Finding],
    *,
    name: str,
    now: datetime,
) -> Status:
    """The status that says what was found; transition times are kept where nothing turned."""
    live = (world.stateful_set or {}).get("status", {})
    status: Status = {
        "observedGeneration": world.generation,
        "replicas": live.get("replicas", 0),
        "readyReplicas": live.get("readyReplicas", 0),
        "updatedReplicas": live.get("updatedReplicas", 0),
        "selector": ",".join(f"{key}={value}" for key, value in selector(name).items()),
        "conditions": _conditions(current.get("conditions", []), findings, world.generation, now),
    }
    # Where the spec is invalid the last valid version keeps running.
    status |= {key: current[key] for key in ("trading", "customMetrics") if key in current}
    if trading_mode.mode_of(world) is not None:
        status["trading"] = _trading(world, now)
    if world.agent is not None:
        status["customMetrics"] = metrics_budget.status(world.agent.spec)
    datadog = datadog_status(world)
    if datadog is not None:
        status["datadog"] = datadog
    return status


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
        turned = old.get("status") != finding.status
        conditions.append(
            {
                "type": str(finding.type),
                "status": finding.status,
                "reason": finding.reason,
                "message": finding.message,
                "lastTransitionTime": _timestamp(now) if turned else old["lastTransitionTime"],
                "observedGeneration": generation,
            }
        )
    return conditions


def _trading(world: ObservedState, now: datetime) -> dict[str, Any]:
    trading, concerned = world.trading, trading_mode.concerned(world)
    found = {
        "mode": str(trading_mode.mode_of(world)),
        "since": _timestamp(trading.since or now),
        "changedBy": trading.changed_by,
        "reason": trading.why,
        "running": len(concerned),
        "acknowledged": len(concerned) - len(trading_mode.missing(world)),
        "undone": list(trading_mode.undone(world)),
    }
    # What is empty is left out: the API server would not give it back.
    return {key: value for key, value in found.items() if value}


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_after_s(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, since_write_s: float
) -> float | None:
    """Seconds until `wanted` should be written: 0 for now, None where it is what stands already."""
    if current == wanted:
        return None
    if _essence(current) != _essence(wanted):
        return 0.0
    return max(0.0, timings.STATUS_COUNTS_INTERVAL_S - since_write_s)


def is_under_way(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether `wanted` has no more to say than that a change of the spec, after all was well, is being carried out.

    Who reads the status that stands sees that by its observedGeneration (`kubectl wait` does, too).
    """
    if current.get("observedGeneration") in (None, wanted["observedGeneration"]):
        return False
    known = {item["type"]: item for item in current.get("conditions", [])}
    for item in wanted["conditions"]:
        old = known.get(item["type"], {})
        if (item["status"], item["reason"]) == (old.get("status"), old.get("reason")):
            continue
        if item["reason"] not in IN_PROGRESS or old.get("status") != "True":
            return False
    return any(item["reason"] in IN_PROGRESS for item in wanted["conditions"])


def _essence(status: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a user waits for: everything but counts and the wording of messages."""
    turns = [
        (item["type"], item["status"], item["reason"]) for item in status.get("conditions", [])
    ]
    datadog = {key: item for key, item in status.get("datadog", {}).items() if key != "nodes"}
    return turns, status.get("observedGeneration"), status.get("selector"), datadog

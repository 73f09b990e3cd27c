"""Findings and world -> the next status, and whether it is worth a write now. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from purpleflea_operator.reconcile import budget, modes
from purpleflea_operator.reconcile.checks.finding import Finding
from purpleflea_operator.reconcile.datadog_status import datadog_status
from purpleflea_operator.reconcile.world import World
from purpleflea_operator.render.identity import selector

Status = dict[str, Any]

SETTLE_S = 15.0
"""Counts alone are written at most this often: a burst of pod events must not become a burst of writes."""


def next_status(
    current: Mapping[str, Any],
    world: World,
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
    if world.agent is not None:
        status["trading"] = _trading(world, now)
        status["customMetrics"] = budget.status(world.agent.spec)
    else:
        # The last valid version keeps running.
        status |= {key: current[key] for key in ("trading", "customMetrics") if key in current}
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


def _trading(world: World, now: datetime) -> dict[str, Any]:
    trading, concerned = world.trading, modes.concerned(world)
    found = {
        "mode": str(modes.mode_of(world)),
        "since": _timestamp(trading.since or now),
        "changedBy": trading.changed_by,
        "reason": trading.why,
        "running": len(concerned),
        "acknowledged": len(concerned) - len(modes.missing(world)),
        "undone": list(modes.undone(world)),
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
    return max(0.0, SETTLE_S - since_write_s)


def _essence(status: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a user waits for: everything but counts and the wording of messages."""
    turns = [
        (item["type"], item["status"], item["reason"]) for item in status.get("conditions", [])
    ]
    datadog = {key: item for key, item in status.get("datadog", {}).items() if key != "nodes"}
    return turns, status.get("observedGeneration"), status.get("selector"), datadog

"""The next status of a halt, and its Events. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from purpleflea_operator.api.explanations.halt import HALT_REASONS
from purpleflea_operator.api.halt import HaltCondition
from purpleflea_operator.api.reasons import Reason, Severity
from purpleflea_operator.controllers.halt.decisions.halt import Halt
from purpleflea_operator.controllers.halt.decisions.progress import HaltProgress
from purpleflea_operator.kube.events import Event

Status = dict[str, Any]
MESSAGE_LIMIT = 2000
"""Characters of a message; the API server accepts 2048."""
SHOWN = 5
"""Agents that a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgedAt:
    """Times of the first and the last acknowledgement that this process received, and that no status has yet."""

    first: datetime | None = None
    last: datetime | None = None
    count: int = 0
    """Pods that had acknowledged at the last time. They can have ended before the status was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The effect of a halt, as observed."""

    progress: HaltProgress
    is_expired: bool = False
    times: AcknowledgedAt = AcknowledgedAt()
    operator_namespace: str = ""


def is_expired(status: Mapping[str, Any]) -> bool:
    """Return whether a status reports that the halt has expired. It stays so if the clock is set back."""
    return any(item.get("reason") == Reason.EXPIRED for item in status.get("conditions", ()))


def next_status(current: Mapping[str, Any], halt: Halt, effect: Effect, *, now: datetime) -> Status:
    """Return the status. Times of acknowledgements change only if more agents have acknowledged."""
    progress = effect.progress
    conditions = {
        HaltCondition.ACCEPTED: _accepted(halt, effect.operator_namespace),
        HaltCondition.HALTED: _halted(progress, expired=effect.is_expired),
        HaltCondition.DRAINING: _draining(progress, expired=effect.is_expired),
    }
    status = {
        "observedGeneration": halt.generation,
        "matched": progress.matched,
        "running": progress.running,
        "acknowledged": progress.acknowledged,
        "drained": progress.drained,
        **_acknowledged_at(current, progress, effect.times, now),
        "open": list(progress.open),
        "createdBy": current.get("createdBy") or halt.created_by,
        "requestedBy": halt.requested_by,
        "conditions": _conditions(current, conditions, halt.generation, now),
    }
    # Empty texts and lists are left out, because the API server does not return them.
    return {key: value for key, value in status.items() if value or isinstance(value, int)}


def _acknowledged_at(
    current: Mapping[str, Any], progress: HaltProgress, times: AcknowledgedAt, now: datetime
) -> dict[str, Any]:
    """Return the times. A restarted operator receives the same acknowledgements again, so these do not count.

    Acknowledgements from before the halt, such as of agents that another halt selects, count from now on.
    """
    first, last = (current.get(key) for key in ("firstAcknowledgedAt", "lastAcknowledgedAt"))
    count = max(progress.acknowledged, times.count)
    is_new = count > current.get("acknowledged", 0)
    if is_new or (count and not last):
        first = first or _timestamp(times.first or times.last or now)
        last = _timestamp(times.last or now)
    return {"firstAcknowledgedAt": first, "lastAcknowledgedAt": last}


def _accepted(halt: Halt, operator_namespace: str) -> tuple[Reason, str]:
    if halt.problems:
        text = "; ".join(halt.problems)
        return Reason.INVALID, f"{text}. Create a correct PurpleFleaHalt, then delete this one"
    if halt.is_limited:
        where = operator_namespace or "of the operator, which is unknown"
        text = (
            f"the scope Cluster applies only in the namespace {where}; only agents in namespace {halt.namespace} are "
            f"halted. To halt all agents, create the PurpleFleaHalt in that namespace"
        )
        return Reason.SCOPE_LIMITED, text
    return Reason.ACCEPTED, "the halt applies as it is written"


def _halted(progress: HaltProgress, *, expired: bool) -> tuple[Reason, str]:
    if expired:
        return Reason.EXPIRED, "spec.expiresAt has passed; the halt has no effect any more"
    if not progress.matched:
        text = "the selector matches no agent; compare it with: kubectl get pfa --show-labels"
        return Reason.NOTHING_SELECTED, text
    if not progress.is_acknowledged:
        return Reason.HALTING, f"{_count(progress)}; waiting for {_shown(progress)}"
    if not progress.running:
        return Reason.HALTED, "no selected agent is running"
    return Reason.HALTED, _count(progress)


def _count(progress: HaltProgress) -> str:
    return f"{progress.acknowledged}/{progress.running} agents have acknowledged the halt"


def _draining(progress: HaltProgress, *, expired: bool) -> tuple[Reason, str]:
    if expired or not progress.matched:
        reason, text = _halted(progress, expired=expired)
        return reason, text
    if not progress.is_drained:
        text = f"{progress.drained}/{progress.running} agents are drained; open: {_shown(progress)}"
        return Reason.DRAINING, text
    return Reason.DRAINED, "every selected agent that runs is drained"


def _shown(progress: HaltProgress) -> str:
    shown = "; ".join(progress.open[:SHOWN])
    more = len(progress.open) > SHOWN
    return f"{shown}; and more" if more else shown


def _conditions(
    current: Mapping[str, Any],
    wanted: Mapping[HaltCondition, tuple[Reason, str]],
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    known = {item["type"]: item for item in current.get("conditions", ())}
    conditions = []
    for kind, (reason, message) in wanted.items():
        status, old = HALT_REASONS.status(kind, reason), known.get(kind, {})
        is_changed = old.get("status") != status
        conditions.append(
            {
                "type": str(kind),
                "status": status,
                "reason": str(reason),
                "message": message[:MESSAGE_LIMIT],
                "lastTransitionTime": _timestamp(now) if is_changed else old["lastTransitionTime"],
                "observedGeneration": generation,
            }
        )
    return conditions


def events(current: Mapping[str, Any], wanted: Status) -> tuple[Event, ...]:
    """Return the Events for the transitions between two statuses."""
    known = {item["type"]: item.get("reason") for item in current.get("conditions", ())}
    found = []
    for item in wanted["conditions"]:
        kind, reason = item["type"], item["reason"]
        severity = HALT_REASONS.severity(kind, reason)
        is_routine = kind == HaltCondition.ACCEPTED and severity is Severity.NORMAL
        is_double = kind == HaltCondition.DRAINING
        if known.get(kind) == reason or is_routine or is_double or not severity.posts_events:
            continue
        found.append(
            Event(
                type="Normal" if severity is Severity.NORMAL else "Warning",
                condition=kind,
                reason=f"{kind}{reason}",
                message=item["message"],
            )
        )
    return tuple(found)


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

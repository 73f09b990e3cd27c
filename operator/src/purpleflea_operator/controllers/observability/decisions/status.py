"""Pure: what came of a pass -> the next status, and the Events worth posting.

Nothing in the status changes while nothing changes: no time of the last look stands there, so a look writes nothing.

What came of one pass, for the report. A value without rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.observability_status import ObservabilityCondition, State
from purpleflea_operator.api.reasons import Reason, Severity
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.kube.events import Event

Status = dict[str, Any]
ConditionStatus = Literal["True", "False", "Unknown"]

NAMED = 3
"""Most objects that a message names."""
LISTED = 12
"""Most objects that an Event names."""
MESSAGE_LENGTH = 2048
ALL_GONE = (
    "nothing that was made is there any more, all of it is made again. If the keys are those of another organisation"
    " now, the former one still holds"
)
LEFT = "no longer wanted, but left in Datadog, as they no longer carry our mark"
TEMPORARY = OBSERVABILITY_REASONS.with_severity(Severity.IN_PROGRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionValue:
    """One aspect: True, False or Unknown, why for programs and why for people."""

    status: ConditionStatus
    reason: str
    message: str


VALID = ConditionValue(status="True", reason=Reason.VALID, message="Datadog accepts the keys.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How far a pass came. `halt` is why it ended early, if it did."""

    generation: int
    wanted: int = 0
    keys: ConditionValue | None = None
    halt: ConditionValue | None = None
    removal_since: str = ""
    """When removing everything was first tried."""
    copies: tuple[str, ...] = ()
    """What carries our mark and was made by somebody else."""


def next_status(
    current: Mapping[str, Any], memory: ObjectRegistry, standing: SyncState, now: datetime
) -> Status:
    """The status that says how it stands; transition times are kept where nothing turned."""
    known = {item["type"]: item for item in current.get("conditions") or ()}
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = []
    for kind, verdict in _conditions(known, memory, standing).items():
        old = known.get(kind, {})
        turned = old.get("status") != verdict.status
        conditions.append(
            {
                "type": str(kind),
                "status": verdict.status,
                "reason": verdict.reason,
                "message": verdict.message[:MESSAGE_LENGTH],
                "lastTransitionTime": moment if turned else old["lastTransitionTime"],
                "observedGeneration": standing.generation,
            }
        )
    marks = [mark.shown() for mark in memory.deployments]
    return {
        "observedGeneration": standing.generation,
        "wanted": standing.wanted or int(current.get("wanted") or 0),
        "inSync": sum(entry.state is State.IN_SYNC for entry in memory),
        "conditions": conditions,
        "objects": memory.shown(),
        **({"deployments": marks} if marks else {}),
        **({"removalStartedAt": standing.removal_since} if standing.removal_since else {}),
    }


def _conditions(
    known: Mapping[str, Any], memory: ObjectRegistry, standing: SyncState
) -> dict[ObservabilityCondition, ConditionValue]:
    keys = standing.keys or _as_before(known.get(ObservabilityCondition.KEYS_VALID))
    synced = standing.halt or _with_copies(_synced(memory, standing), standing.copies)
    degraded = _degraded(memory, standing)
    return {
        ObservabilityCondition.READY: _ready(keys, synced, degraded),
        ObservabilityCondition.KEYS_VALID: keys,
        ObservabilityCondition.SYNCED: synced,
        ObservabilityCondition.DEGRADED: degraded,
    }


def _as_before(condition: Mapping[str, Any] | None) -> ConditionValue:
    if condition is None:
        return ConditionValue(
            status="Unknown", reason=Reason.NOT_CHECKED, message="The keys are not checked."
        )
    return ConditionValue(
        status=condition["status"], reason=condition["reason"], message=condition["message"]
    )


def _synced(memory: ObjectRegistry, standing: SyncState) -> ConditionValue:
    for state, reason, text in (
        (State.FAILED, Reason.OBJECTS_FAILED, "Datadog refuses"),
        (State.CREATING, Reason.PROGRESSING, "being made"),
        (State.PLANNED, Reason.PLANNED, "mode Plan, nothing is written; would change"),
        (State.EDITED, Reason.EDITED, "edited by hand and kept"),
    ):
        found = [entry for entry in memory if entry.state is state]
        if found:
            message = f"{len(found)} of {standing.wanted} objects: {text}: {_named(found)}"
            return ConditionValue(status="False", reason=reason, message=message)
    waiting = sum(entry.state is State.WAITING for entry in memory)
    more = f" {waiting} wait until their metric reports." if waiting else ""
    return ConditionValue(
        status="True",
        reason=Reason.IN_SYNC,
        message=f"{standing.wanted - waiting} objects are what the spec says.{more}",
    )


def _with_copies(verdict: ConditionValue, copies: tuple[str, ...]) -> ConditionValue:
    """Copies are no fault, and nothing of ours: they are only named."""
    if not copies:
        return verdict
    return replace(
        verdict, message=f"{verdict.message} Left alone, as copies made by hand: {listed(copies)}."
    )


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are: an Event's message is short."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _degraded(memory: ObjectRegistry, standing: SyncState) -> ConditionValue:
    if standing.halt is not None and standing.halt.reason not in TEMPORARY:
        return ConditionValue(
            status="True", reason=standing.halt.reason, message=standing.halt.message
        )
    failed = [entry for entry in memory if entry.state is State.FAILED]
    if failed:
        reasons = "; ".join(_with_error(entry) for entry in failed[:NAMED])
        more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        return ConditionValue(status="True", reason=Reason.OBJECTS_FAILED, message=reasons + more)
    return ConditionValue(status="False", reason=Reason.AS_EXPECTED, message="Nothing is refused.")


def _ready(
    keys: ConditionValue, synced: ConditionValue, degraded: ConditionValue
) -> ConditionValue:
    if keys.status == "False":
        return keys
    if degraded.status == "True":
        return ConditionValue(status="False", reason=degraded.reason, message=degraded.message)
    if synced.reason in TEMPORARY or keys.status != "True":
        return ConditionValue(status="False", reason=synced.reason, message=synced.message)
    # Edits that are kept, and a plan, are as the spec asked for.
    return ConditionValue(status="True", reason=synced.reason, message=synced.message)


def _named(entries: list[ObjectRecord]) -> str:
    names = ", ".join(_with_change(entry) for entry in entries[:NAMED])
    return names + (f" and {len(entries) - NAMED} more" if len(entries) > NAMED else "")


def _with_change(entry: ObjectRecord) -> str:
    return f"{entry.kind}/{entry.key}" + (f" ({entry.change})" if entry.change else "")


def _with_error(entry: ObjectRecord) -> str:
    return f"{entry.kind}/{entry.key}: {entry.last_error}"


@dataclass(slots=True, kw_only=True)
class PassResult:
    """What came of a pass, for the report."""

    restored: list[str] = field(default_factory=list)
    remade: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    """All that was made, where nothing of it is there any more."""
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What is not wanted any more, and cannot be proven to be ours."""
    copies: list[str] = field(default_factory=list)
    """What carries our mark and was made by somebody else."""
    unanswered: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    """Creates of an earlier pass that may still take effect."""
    deployed: list[Event] = field(default_factory=list)


def news(current: Mapping[str, Any], wanted: Status, outcome: PassResult | None) -> list[Event]:
    """The Events of a pass: turns of conditions, and what was done about edits by hand."""
    old = {item["type"]: item for item in current.get("conditions") or ()}
    new = {item["type"]: item for item in wanted["conditions"]}
    found = []
    for kind, good in (("KeysValid", "True"), ("Degraded", "False"), ("Synced", "True")):
        before, after = old.get(kind), new[kind]
        same = before is not None and (before["status"], before["reason"]) == (
            after["status"],
            after["reason"],
        )
        is_good = after["status"] == good
        if same or after["status"] == "Unknown" or (is_good and kind != "Synced" and not before):
            continue
        if kind == "Synced" and (
            after["reason"] in TEMPORARY or new["Degraded"]["status"] == "True"
        ):
            continue
        found.append(_turn(kind, after, is_good=is_good or kind == "Synced"))
    return found + list(_edits(outcome))


def _turn(kind: str, condition: Mapping[str, Any], *, is_good: bool) -> Event:
    return Event(
        type="Normal" if is_good else "Warning",
        reason=f"{kind}{condition['reason']}",
        message=condition["message"],
    )


def _edits(outcome: PassResult | None) -> Iterable[Event]:
    if outcome is None:
        return
    kind: Literal["Normal", "Warning"]
    yield from outcome.deployed
    for kind, reason, text, names in (
        ("Warning", Reason.EDITS_REVERTED, "edited by hand in Datadog, restored", outcome.restored),
        (
            "Warning",
            Reason.OBJECTS_REMADE,
            "deleted by hand in Datadog, made again",
            outcome.remade,
        ),
        ("Warning", Reason.ALL_OBJECTS_GONE, ALL_GONE, outcome.vanished),
        (
            "Normal",
            Reason.OBJECTS_REMOVED,
            "no longer wanted, removed from Datadog",
            outcome.removed,
        ),
        ("Warning", Reason.OBJECTS_LEFT, LEFT, outcome.left),
    ):
        if names:
            yield Event(type=kind, reason=reason, message=f"{text}: {listed(names)}")

"""Pure: result of a pass -> the next status, and the Events to post.

The status contains no time of the last pass. So it changes only if the observed state changes, and a pass over objects
that are in sync causes no write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.observability_status import (
    MAX_ERROR_LENGTH,
    ObjectState,
    ObservabilityCondition,
)
from purpleflea_operator.api.reasons import Reason, Severity
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.kube.events import Event

Status = dict[str, Any]
ConditionStatus = Literal["True", "False", "Unknown"]

MAX_NAMED = 3
"""Most objects that a condition message names."""
MAX_LISTED = 12
"""Most objects that an Event names."""
MAX_MESSAGE_LENGTH = 2048
ALL_MISSING = (
    "all managed objects are missing and are being recreated. If the API keys now belong to a different Datadog"
    " organization, these objects remain in the previous one"
)
LEFT = (
    "no longer part of the spec, but left in Datadog because they lost the ownership tags of this resource."
    " Delete them in Datadog if they are not needed"
)
TEMPORARY = OBSERVABILITY_REASONS.with_severity(Severity.IN_PROGRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionValue:
    """Status, reason and message of a condition."""

    status: ConditionStatus
    reason: Reason
    message: str


VALID = ConditionValue(status="True", reason=Reason.VALID, message="Datadog accepts the keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """Progress of a pass. `interruption` is the value of Synced if the pass ended early."""

    generation: int
    wanted: int = 0
    keys: ConditionValue | None = None
    interruption: ConditionValue | None = None
    removal_started_at: str = ""
    """Time of the first attempt to remove all objects."""
    copies: tuple[str, ...] = ()
    """Objects with the ownership tags of the resource that another user created."""


def next_status(
    current: Mapping[str, Any], registry: ObjectRegistry, sync_state: SyncState, now: datetime
) -> Status:
    """Return the status for a sync state. A condition keeps its transition time if its status has not changed."""
    previous = {item["type"]: item for item in current.get("conditions") or ()}
    timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = []
    for kind, value in _conditions(previous, registry, sync_state).items():
        old = previous.get(kind, {})
        has_changed = old.get("status") != value.status
        conditions.append(
            {
                "type": str(kind),
                "status": value.status,
                "reason": value.reason,
                "message": value.message[:MAX_MESSAGE_LENGTH],
                "lastTransitionTime": timestamp if has_changed else old["lastTransitionTime"],
                "observedGeneration": sync_state.generation,
            }
        )
    marks = [mark.to_status() for mark in registry.deployments]
    removal_started_at = sync_state.removal_started_at
    return {
        "observedGeneration": sync_state.generation,
        "wanted": sync_state.wanted or int(current.get("wanted") or 0),
        "inSync": sum(record.state is ObjectState.IN_SYNC for record in registry),
        "conditions": conditions,
        "objects": registry.to_status(),
        **({"deployments": marks} if marks else {}),
        **({"silencedUntil": registry.silenced_until} if registry.silenced_until else {}),
        **_downtime_error(registry),
        **({"removalStartedAt": removal_started_at} if removal_started_at else {}),
    }


def _downtime_error(registry: ObjectRegistry) -> dict[str, str]:
    error = registry.downtime_error[:MAX_ERROR_LENGTH]
    return {"downtimeError": error} if error else {}


def _conditions(
    previous: Mapping[str, Any], registry: ObjectRegistry, sync_state: SyncState
) -> dict[ObservabilityCondition, ConditionValue]:
    keys = sync_state.keys or _previous_value(previous.get(ObservabilityCondition.KEYS_VALID))
    synced = sync_state.interruption or _with_copies(
        _synced(registry, sync_state), sync_state.copies
    )
    degraded = _degraded(registry, sync_state)
    return {
        ObservabilityCondition.READY: _ready(keys, synced, degraded),
        ObservabilityCondition.KEYS_VALID: keys,
        ObservabilityCondition.SYNCED: synced,
        ObservabilityCondition.DEGRADED: degraded,
    }


def _previous_value(condition: Mapping[str, Any] | None) -> ConditionValue:
    if condition is None:
        return ConditionValue(
            status="Unknown",
            reason=Reason.NOT_CHECKED,
            message="the keys have not been checked yet",
        )
    return ConditionValue(
        status=condition["status"], reason=condition["reason"], message=condition["message"]
    )


def _synced(registry: ObjectRegistry, sync_state: SyncState) -> ConditionValue:
    for state, reason, text in (
        (ObjectState.FAILED, Reason.OBJECTS_FAILED, "have failed"),
        (ObjectState.CREATING, Reason.PROGRESSING, "are being created"),
        (ObjectState.PLANNED, Reason.PLANNED, "would change, but spec.mode Plan writes nothing"),
        (ObjectState.EDITED, Reason.EDITED, "were edited manually and are kept"),
    ):
        records = [record for record in registry if record.state is state]
        if records:
            message = f"{len(records)} of {sync_state.wanted} objects {text}: {_named(records)}"
            return ConditionValue(status="False", reason=reason, message=message)
    waiting = sum(record.state is ObjectState.WAITING for record in registry)
    more = f"; {waiting} wait until their metric reports" if waiting else ""
    return ConditionValue(
        status="True",
        reason=Reason.IN_SYNC,
        message=f"{sync_state.wanted - waiting} objects match the spec{more}",
    )


def _with_copies(value: ConditionValue, copies: tuple[str, ...]) -> ConditionValue:
    """Name the copies in the message. They are not an error, and the operator does not manage them."""
    if not copies:
        return value
    return replace(
        value, message=f"{value.message}; not managed, because they are copies: {listed(copies)}"
    )


def listed(names: Sequence[str]) -> str:
    """Return the first names and the number of the others, because an Event's message is short."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def _degraded(registry: ObjectRegistry, sync_state: SyncState) -> ConditionValue:
    interruption = sync_state.interruption
    if interruption is not None and interruption.reason not in TEMPORARY:
        return ConditionValue(
            status="True", reason=interruption.reason, message=interruption.message
        )
    failed = [record for record in registry if record.state is ObjectState.FAILED]
    if failed:
        reasons = "; ".join(_with_error(record) for record in failed[:MAX_NAMED])
        more = f"; and {len(failed) - MAX_NAMED} more" if len(failed) > MAX_NAMED else ""
        return ConditionValue(status="True", reason=Reason.OBJECTS_FAILED, message=reasons + more)
    return ConditionValue(status="False", reason=Reason.AS_EXPECTED, message="no object has failed")


def _ready(
    keys: ConditionValue, synced: ConditionValue, degraded: ConditionValue
) -> ConditionValue:
    if keys.status == "False":
        return keys
    if degraded.status == "True":
        return ConditionValue(status="False", reason=degraded.reason, message=degraded.message)
    if synced.reason in TEMPORARY or keys.status != "True":
        return ConditionValue(status="False", reason=synced.reason, message=synced.message)
    # The spec requests the plan or the kept edits, so the resource is ready.
    return ConditionValue(status="True", reason=synced.reason, message=synced.message)


def _named(records: list[ObjectRecord]) -> str:
    names = ", ".join(_with_change(record) for record in records[:MAX_NAMED])
    return names + (f" and {len(records) - MAX_NAMED} more" if len(records) > MAX_NAMED else "")


def _with_change(record: ObjectRecord) -> str:
    return f"{record.kind}/{record.key}" + (f" ({record.change})" if record.change else "")


def _with_error(record: ObjectRecord) -> str:
    return f"{record.kind}/{record.key}: {record.last_error}"


@dataclass(slots=True, kw_only=True)
class PassResult:
    """Names of the objects that a pass changed or could not change, for Events and the status."""

    reverted: list[str] = field(default_factory=list)
    recreated: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """All recorded objects, if none of them exists any more."""
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Objects that are no longer part of the spec and cannot be proven to be created by the operator."""
    copies: list[str] = field(default_factory=list)
    """Objects with the ownership tags of the resource that another user created."""
    unanswered: list[str] = field(default_factory=list)
    """Requests that had no answer."""
    pending: list[str] = field(default_factory=list)
    """Creates of an earlier pass that may still take effect."""
    deployment_events: list[Event] = field(default_factory=list)


def events(
    current: Mapping[str, Any], updated: Status, pass_result: PassResult | None
) -> list[Event]:
    """Return the Events of a pass: changes of conditions, and the objects that were changed or left."""
    old = {item["type"]: item for item in current.get("conditions") or ()}
    new = {item["type"]: item for item in updated["conditions"]}
    changes = []
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
        changes.append(_condition_event(kind, after, is_good=is_good or kind == "Synced"))
    return changes + list(_object_events(pass_result))


def _condition_event(kind: str, condition: Mapping[str, Any], *, is_good: bool) -> Event:
    return Event(
        type="Normal" if is_good else "Warning",
        condition=kind,
        reason=f"{kind}{condition['reason']}",
        message=condition["message"],
    )


def _object_events(pass_result: PassResult | None) -> Iterable[Event]:
    if pass_result is None:
        return
    kind: Literal["Normal", "Warning"]
    yield from pass_result.deployment_events
    for kind, reason, text, names in (
        (
            "Warning",
            Reason.EDITS_REVERTED,
            "restored after manual edits in Datadog",
            pass_result.reverted,
        ),
        (
            "Warning",
            Reason.OBJECTS_REMADE,
            "recreated after they were deleted in Datadog",
            pass_result.recreated,
        ),
        ("Warning", Reason.ALL_OBJECTS_GONE, ALL_MISSING, pass_result.missing),
        (
            "Normal",
            Reason.OBJECTS_REMOVED,
            "removed from Datadog because the spec no longer includes them",
            pass_result.removed,
        ),
        ("Warning", Reason.OBJECTS_LEFT, LEFT, pass_result.left),
    ):
        if names:
            yield Event(type=kind, reason=reason, message=f"{text}: {listed(names)}")

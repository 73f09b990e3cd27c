"""Pure: one desired object and its counterpart in Datadog -> the next action for it.

The module handles one object at a time. `ownership` matches objects, and the catalog defines their sequence.
"""

from dataclasses import dataclass

from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import payloads
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    KINDS_WITHOUT_OWNERSHIP_TAGS,
    ownership_tag,
)
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRecord
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind

SETTLED = (ObjectState.IN_SYNC, ObjectState.EDITED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateStep:
    """Create the object, because it does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStep:
    """Read the object, because the list does not show enough of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveStep:
    """Do not write, because the object matches the spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStep:
    """Update the object. `is_manual_edit` is False if the desired body has changed."""

    changes: str
    is_manual_edit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepStep:
    """Keep a manual edit."""

    changes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseStep:
    """Do not write, because the object does not belong to the resource."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep:
    """Do not create the object yet."""

    message: str


Action = CreateStep | ReadStep | LeaveStep | UpdateStep | KeepStep | RefuseStep | WaitStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One object: its desired body, the remote object, its record, and the policies of the resource."""

    kind: ObjectKind
    key: str
    body: Body
    remote: RemoteObject | None
    record: ObjectRecord | None
    owners: tuple[str, ...]
    """Uids whose objects belong to the resource. The first is the uid of the resource itself."""
    keeps_edits: bool
    has_reported: bool
    """If the object is a metric configuration: True if the metric has reported."""


def next_action(case: Case) -> Action:
    """Return the action that brings the object closer to the desired state."""
    remote, record = case.remote, case.record
    if remote is None:
        return _creation(case)
    digest = payloads.digest(case.kind, case.body)
    if remote.body is None:
        if record is None or record.state not in SETTLED or record.hash != digest:
            return ReadStep()
        if record.version != remote.version:
            return ReadStep()
        return (
            KeepStep(changes=record.change) if record.state is ObjectState.EDITED else LeaveStep()
        )
    paths = payloads.differences(case.kind, case.body, remote.body)
    if not paths:
        return LeaveStep()
    if not _is_owned(case, remote):
        return RefuseStep(
            message="the object exists and does not belong to this resource;"
            " delete it in Datadog, or disable its feature in spec.features"
        )
    return _difference(case, remote, digest, payloads.joined_paths(paths))


def _creation(case: Case) -> Action:
    if case.kind is ObjectKind.METRIC_TAGS and not case.has_reported:
        return WaitStep(message="the metric has not reported yet")
    if case.kind is ObjectKind.LOG_INDEX_ORDER:
        return WaitStep(message="Datadog did not return the log index order")
    return CreateStep()


def _difference(case: Case, remote: RemoteObject, digest: str, changes: str) -> Action:
    tag, record = ownership_tag(remote), case.record
    if tag is not None and tag.uid != case.owners[0]:
        return UpdateStep(changes=changes, is_manual_edit=False)
    if record is None and case.kind is not ObjectKind.LOG_INDEX_ORDER:
        # The status is lost, so a manual edit cannot be distinguished from a change of the spec.
        return (
            KeepStep(changes=changes)
            if case.keeps_edits
            else UpdateStep(changes=changes, is_manual_edit=False)
        )
    is_manual_edit = record is not None and record.hash == digest
    return (
        KeepStep(changes=changes)
        if is_manual_edit and case.keeps_edits
        else UpdateStep(changes=changes, is_manual_edit=is_manual_edit)
    )


def _is_owned(case: Case, remote: RemoteObject) -> bool:
    """Return True if the ownership tags, or for untagged objects the id in the status, prove it."""
    if case.kind is ObjectKind.LOG_INDEX_ORDER:
        return True
    tag = ownership_tag(remote)
    if tag is not None:
        # An index is matched by its name, so it may belong to another resource.
        return tag.uid in case.owners
    return case.record is not None and bool(case.record.id)


def existed_before(
    remote: RemoteObject, record: ObjectRecord | None, *, is_shared: bool = False
) -> bool:
    """Return True if the object existed before it was managed, so that it is never deleted.

    `is_shared` is True if another resource of the cluster created it.
    """
    tag = ownership_tag(remote)
    if tag is not None and tag.adopted:
        return True
    if remote.kind is ObjectKind.LOG_INDEX_ORDER or is_shared:
        return False
    if record is not None and record.id:
        return record.adopted
    if remote.kind not in KINDS_WITHOUT_OWNERSHIP_TAGS and tag is not None:
        return False
    return record is None or record.state is not ObjectState.CREATING

"""Pure: one object that there should be, and what was found of it -> the step to take.

It never sees two objects at once: what belongs together is matched in holdings, order is the catalogue's.
"""

from dataclasses import dataclass

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import payloads
from purpleflea_operator.controllers.observability.decisions.ownership_tags import UNMARKED, mark_of
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRecord
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind

SETTLED = (State.IN_SYNC, State.EDITED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """It is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The list does not show enough to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """It is as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """It differs. `by_hand`: not because something else is wanted now."""

    changes: str
    by_hand: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """It was edited by hand and stays so."""

    changes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """It must not be touched."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """It cannot be made yet."""

    why: str


Step = Create | Read | Leave | Update | Keep | Refuse | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One object: the body it should have, what was found, what is remembered, and the rules."""

    kind: ObjectKind
    key: str
    body: Body
    found: RemoteObject | None
    entry: ObjectRecord | None
    owners: tuple[str, ...]
    """Uids whose objects count as ours; the first is the resource itself."""
    keeps: bool
    reports: bool
    """Whether the metric, if it is one, has reported."""


def step(case: Case) -> Step:
    """What is to be done."""
    found, entry = case.found, case.entry
    if found is None:
        return _making(case)
    digest = payloads.digest(case.kind, case.body)
    if found.body is None:
        if entry is None or entry.state not in SETTLED or entry.hash != digest:
            return Read()
        if entry.version != found.version:
            return Read()
        return Keep(changes=entry.change) if entry.state is State.EDITED else Leave()
    paths = payloads.differences(case.kind, case.body, found.body)
    if not paths:
        return Leave()
    if not _is_ours(case, found):
        return Refuse(
            why="exists and belongs to somebody else: remove it there, or leave out its feature"
        )
    return _difference(case, found, digest, payloads.shown(paths))


def _making(case: Case) -> Step:
    if case.kind is ObjectKind.METRIC_TAGS and not case.reports:
        return Wait(why="the metric has not reported yet")
    if case.kind is ObjectKind.LOG_INDEX_ORDER:
        return Wait(why="the order of the indexes is not shown")
    return Create()


def _difference(case: Case, found: RemoteObject, digest: str, changes: str) -> Step:
    mark, entry = mark_of(found), case.entry
    if mark is not None and mark.uid != case.owners[0]:
        return Update(changes=changes, by_hand=False)
    if entry is None and case.kind is not ObjectKind.LOG_INDEX_ORDER:
        # The memory is lost: whose change it is cannot be told.
        return Keep(changes=changes) if case.keeps else Update(changes=changes, by_hand=False)
    by_hand = entry is not None and entry.hash == digest
    return (
        Keep(changes=changes)
        if by_hand and case.keeps
        else Update(changes=changes, by_hand=by_hand)
    )


def _is_ours(case: Case, found: RemoteObject) -> bool:
    """By their marks; those that carry none are ours where the status has their id."""
    if case.kind is ObjectKind.LOG_INDEX_ORDER:
        return True
    mark = mark_of(found)
    if mark is not None:
        # An index is matched by its name, and may be that of another resource.
        return mark.uid in case.owners
    return case.entry is not None and bool(case.entry.id)


def was_there(found: RemoteObject, entry: ObjectRecord | None, *, is_shared: bool = False) -> bool:
    """Whether it existed before we came: then it is never removed. `is_shared`: another resource here made it."""
    mark = mark_of(found)
    if mark is not None and mark.adopted:
        return True
    if found.kind is ObjectKind.LOG_INDEX_ORDER or is_shared:
        return False
    if entry is not None and entry.id:
        return entry.adopted
    if found.kind not in UNMARKED and mark is not None:
        return False
    return entry is None or entry.state is not State.CREATING

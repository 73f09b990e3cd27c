"""Pure: a look at Datadog -> which object is which of ours, and which of ours should not be there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.datadog_api.found import Found, Survey
from purpleflea_operator.observability.objects import Kind, Reference
from purpleflea_operator.sync.bodies import Wanted
from purpleflea_operator.sync.marks import UNMARKED, Mark, mark_of
from purpleflea_operator.sync.memory import Entry, Memory

LAST = (
    Kind.NOTEBOOK,
    Kind.SCANNER_RULE,
    Kind.SCANNER_GROUP,
    Kind.LOG_PIPELINE,
    Kind.LOG_INDEX,
    Kind.DASHBOARD,
    Kind.MONITOR,
    Kind.SLO,
    Kind.METRIC_TAGS,
)
"""Kinds in the order in which they are removed: what refers to others comes first."""
REFERRING = ("composite", "slo alert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One object of ours that should not be there."""

    kind: Kind
    id: str
    key: str

    @property
    def name(self) -> str:
        """What people read."""
        return f"{self.kind}/{self.key} ({self.id})"


def match(
    wanted: Wanted, survey: Survey, entry: Entry | None, owners: Sequence[str]
) -> Found | None:
    """The object that is the wanted one; the first of `owners` is the resource itself."""
    candidates = survey.of(wanted.kind)
    known = next((item for item in candidates if entry and item.id == entry.id), None)
    if wanted.kind in UNMARKED:
        name = "organisation" if wanted.kind is Kind.LOG_INDEX_ORDER else wanted.key
        return next((item for item in candidates if item.id == name), None)
    if wanted.kind is Kind.LOG_INDEX:
        name = wanted.definition.body["name"]
        return next((item for item in candidates if item.id == name), None)
    for uid in owners:
        mark = Mark(uid=uid, key=wanted.key)
        same = sorted((item for item in candidates if mark_of(item) == mark), key=_age)
        if known in same:
            return known
        if same:
            return same[0]
    return known if known is not None and resembles(wanted, known, owners) else None


def resembles(wanted: Wanted, found: Found, owners: Sequence[str]) -> bool:
    """Whether an object that is known by its id only is still ours.

    Somebody may have removed the mark. Or the id is of another organisation, and the object a stranger's: so it must
    at least bear the name.
    """
    mark = mark_of(found)
    if mark is not None:
        return mark.uid in owners and mark.key == wanted.key
    if found.body is None:
        return True
    body = wanted.definition.body
    ours = body.get("data", {}).get("attributes", body)
    return _name(ours) == _name(found.body)


def _name(body: dict[str, Any]) -> str:
    return str(body.get("name") or body.get("title"))


def _age(found: Found) -> tuple[int, str]:
    """The oldest first: ids of monitors are numbers that grow."""
    return len(found.id), found.id


def removals(
    survey: Survey, memory: Memory, uid: str, kept: Iterable[tuple[Kind, str]]
) -> tuple[Removal, ...]:
    """What is proven ours and not among the kept (kind, id), in the order in which it can be removed."""
    keep = set(kept)
    found = []
    for kind in LAST:
        for item in sorted(survey.of(kind), key=_referring_first):
            key = _proven(item, memory, uid)
            if key is not None and (kind, item.id) not in keep:
                found.append(Removal(kind=kind, id=item.id, key=key))
    return tuple(found)


def _proven(found: Found, memory: Memory, uid: str) -> str | None:
    """The key of an object that is surely ours, and made by us."""
    mark = mark_of(found)
    key = mark.key if mark is not None and mark.uid == uid else None
    if found.kind is Kind.METRIC_TAGS:
        key = found.id
    if key is None:
        return None
    entry = memory.get(Reference(kind=found.kind, key=key))
    if entry is not None and entry.id == found.id and entry.adopted:
        return None
    if found.kind is Kind.METRIC_TAGS and (entry is None or not entry.id):
        return None
    return key


def _referring_first(found: Found) -> tuple[bool, bool]:
    kind = (found.body or {}).get("type")
    return kind != REFERRING[0], kind not in REFERRING

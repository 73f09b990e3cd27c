"""Pure: a look at Datadog -> which object is which of ours, which of ours should not be there, which are copies.

A mark alone proves nothing: whoever clones an object of ours copies it. What is removed was made by us.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import payloads
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    MANAGED,
    UNMARKED,
    mark_of,
)
from purpleflea_operator.controllers.observability.decisions.payloads import Wanted
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject, owned
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind, Reference

DELETION_ORDER = (
    ObjectKind.NOTEBOOK,
    ObjectKind.SCANNER_RULE,
    ObjectKind.SCANNER_GROUP,
    ObjectKind.LOG_PIPELINE,
    ObjectKind.LOG_INDEX,
    ObjectKind.DASHBOARD,
    ObjectKind.MONITOR,
    ObjectKind.SLO,
    ObjectKind.METRIC_TAGS,
)
"""Kinds in the order in which they are removed: what refers to others comes first."""
REFERRING = ("composite", "slo alert")

Address = tuple[ObjectKind, str]
"""ObjectKind and id of an object in Datadog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedObject:
    """One object that carries our mark and should not be there."""

    kind: ObjectKind
    id: str
    key: str

    @property
    def name(self) -> str:
        """What people read."""
        return f"{self.kind}/{self.key} ({self.id})"

    @property
    def address(self) -> Address:
        """Where it is in Datadog."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipEvidence:
    """By what an object is proven to have been made by the resource `uid`."""

    uid: str
    made: frozenset[Address]
    """What the status says was made, when the pass began."""
    adopted: frozenset[Address]
    bodies: Mapping[Reference, Body]
    """What objects would look like that a create without an answer made."""
    shared: frozenset[str] = frozenset()
    """Metrics whose configuration other resources want as well."""

    def of(self, found: RemoteObject) -> OwnedObject | None:
        """The object as one of ours; None where it is somebody else's, was there before, or is still used."""
        key = found.id
        if found.kind is ObjectKind.METRIC_TAGS:
            if (found.kind, found.id) not in self.made or found.id in self.shared:
                return None
        else:
            mark = mark_of(found)
            if mark is None or mark.uid != self.uid or mark.adopted:
                return None
            key = mark.key
        if (found.kind, found.id) in self.adopted:
            return None
        return OwnedObject(kind=found.kind, id=found.id, key=key)

    def holds(self, removal: OwnedObject, found: RemoteObject) -> bool:
        """Whether we made it: by its id, or because it is in nothing different from what we would have made."""
        if removal.address in self.made:
            return True
        body = self.bodies.get(Reference(kind=removal.kind, key=removal.key))
        if body is None or payloads.name_of(owned(found.kind, body)) != _name(found):
            return False
        return found.body is None or not payloads.differences(found.kind, body, found.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """What carries our mark and should not be there: ours to remove, and copies that somebody made."""

    removals: tuple[OwnedObject, ...] = ()
    copies: tuple[OwnedObject, ...] = ()


def match(
    wanted: Wanted, survey: Inventory, entry: ObjectRecord | None, owners: Sequence[str]
) -> RemoteObject | None:
    """The object that is the wanted one; the first of `owners` is the resource itself."""
    candidates = survey.of(wanted.kind)
    known = next((item for item in candidates if entry and item.id == entry.id), None)
    if wanted.kind in UNMARKED:
        name = "organisation" if wanted.kind is ObjectKind.LOG_INDEX_ORDER else wanted.key
        return next((item for item in candidates if item.id == name), None)
    if wanted.kind is ObjectKind.LOG_INDEX:
        name = wanted.definition.body["name"]
        return next((item for item in candidates if item.id == name), None)
    for uid in owners:
        same = [item for item in candidates if _is_marked(item, uid, wanted.key)]
        if known in same:
            return known
        original = _original(wanted, same, is_lost=entry is None)
        if original is not None:
            return original
    return known if known is not None and resembles(wanted, known, owners) else None


def _original(
    wanted: Wanted, same: Sequence[RemoteObject], *, is_lost: bool
) -> RemoteObject | None:
    """Of several that carry one mark: the one with our name, then the oldest.

    Only where the memory is lost may it bear another name: an earlier version of the operator may have called it so.
    Else the one that was made is gone, and what is left is somebody's copy.
    """
    named = [item for item in same if _name(item) == wanted.name]
    return min(named or (same if is_lost else ()), key=_age, default=None)


def resembles(wanted: Wanted, found: RemoteObject, owners: Sequence[str]) -> bool:
    """Whether an object that is known by its id only is still ours.

    Somebody may have removed the mark. Or the id is of another organisation, and the object a stranger's: so it must
    at least bear the name.
    """
    mark = mark_of(found)
    if mark is not None:
        return mark.uid in owners and mark.key == wanted.key
    return found.body is None or _name(found) == wanted.name


def surplus(survey: Inventory, proof: OwnershipEvidence, kept: Iterable[Address]) -> Orphans:
    """What carries our mark and is not among the kept, in the order in which it can be removed."""
    keep = set(kept)
    ours: list[OwnedObject] = []
    copies: list[OwnedObject] = []
    for kind in DELETION_ORDER:
        for item in sorted(survey.of(kind), key=_referring_first):
            removal = proof.of(item)
            if removal is not None and removal.address not in keep:
                (ours if proof.holds(removal, item) else copies).append(removal)
    return Orphans(removals=tuple(ours), copies=tuple(copies))


def made(memory: ObjectRegistry) -> frozenset[Address]:
    """What the memory says was made."""
    return frozenset((entry.kind, entry.id) for entry in memory if entry.id and not entry.adopted)


def adopted(memory: ObjectRegistry) -> frozenset[Address]:
    """What the memory says was there before."""
    return frozenset((entry.kind, entry.id) for entry in memory if entry.adopted)


def shown(survey: Inventory) -> frozenset[Address]:
    """All that a look shows."""
    return frozenset((kind, item.id) for kind, items in survey.objects.items() for item in items)


def adopt_pending(survey: Inventory, memory: ObjectRegistry, wanted: Iterable[Wanted]) -> None:
    """A configuration that was announced, and now is exactly there, was made by us."""
    configured = {item.id: item for item in survey.of(ObjectKind.METRIC_TAGS)}
    for item in wanted:
        entry, found = memory.get(item.definition.reference), configured.get(item.key)
        if item.kind is not ObjectKind.METRIC_TAGS or entry is None or found is None:
            continue
        if entry.state is State.CREATING and not entry.id:
            changes = payloads.differences(item.kind, item.definition.body, found.body or {})
            if not changes:
                memory.put(replace(entry, id=found.id))


def managed_indexes(survey: Inventory) -> Collection[str]:
    """Names of indexes that some PurpleFleaObservability made."""
    indexes = survey.of(ObjectKind.LOG_INDEX)
    return frozenset(
        item.id for item in indexes if MANAGED in ((item.body or {}).get("tags") or ())
    )


def _is_marked(found: RemoteObject, uid: str, key: str) -> bool:
    mark = mark_of(found)
    return mark is not None and (mark.uid, mark.key) == (uid, key)


def _name(found: RemoteObject) -> str:
    return found.title or payloads.name_of(found.body or {})


def _age(found: RemoteObject) -> tuple[int, str]:
    """The oldest first: ids of monitors are numbers that grow."""
    return len(found.id), found.id


def _referring_first(found: RemoteObject) -> tuple[bool, bool]:
    kind = (found.body or {}).get("type")
    return kind != REFERRING[0], kind not in REFERRING

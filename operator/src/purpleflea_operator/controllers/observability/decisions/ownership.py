"""Pure: an inventory -> the remote object of each desired object, the orphans to remove, and copies of managed objects.

Ownership tags alone do not prove ownership, because a clone of a managed object has the same tags. Only objects that
the operator created are removed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import payloads
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    KINDS_WITHOUT_OWNERSHIP_TAGS,
    MANAGED,
    ownership_tag,
)
from purpleflea_operator.controllers.observability.decisions.payloads import DesiredObject
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject, owned_fields
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
"""Kinds in the sequence of their deletion. Objects that refer to others come first."""
REFERRING_MONITORS = ("composite", "slo alert")
"""Types of monitors that refer to other objects, in the sequence of their deletion."""

Address = tuple[ObjectKind, str]
"""Kind and id of an object in Datadog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedObject:
    """One object with the ownership tags of the resource."""

    kind: ObjectKind
    id: str
    key: str

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.kind}/{self.key} ({self.id})"

    @property
    def address(self) -> Address:
        """Kind and id of the object."""
        return self.kind, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipEvidence:
    """Evidence for the objects that the resource `uid` created."""

    uid: str
    created: frozenset[Address]
    """Objects that the status recorded as created when the pass began."""
    adopted: frozenset[Address]
    bodies: Mapping[Reference, Body]
    """Bodies of all possible objects, to recognize the object of a create that had no answer."""
    shared: frozenset[str] = frozenset()
    """Metrics whose configuration other resources use, too."""

    def owned_object(self, remote: RemoteObject) -> OwnedObject | None:
        """Return the object if it is tagged with `uid`, None if it is foreign, was adopted, or is still shared."""
        key = remote.id
        if remote.kind is ObjectKind.METRIC_TAGS:
            if (remote.kind, remote.id) not in self.created or remote.id in self.shared:
                return None
        else:
            tag = ownership_tag(remote)
            if tag is None or tag.uid != self.uid or tag.adopted:
                return None
            key = tag.key
        if (remote.kind, remote.id) in self.adopted:
            return None
        return OwnedObject(kind=remote.kind, id=remote.id, key=key)

    def is_created(self, owned: OwnedObject, remote: RemoteObject) -> bool:
        """Return True if the operator created the object.

        The evidence is its id in the status, or that it does not differ from the desired object.
        """
        if owned.address in self.created:
            return True
        body = self.bodies.get(Reference(kind=owned.kind, key=owned.key))
        if body is None or payloads.name_of(owned_fields(remote.kind, body)) != _name(remote):
            return False
        return remote.body is None or not payloads.differences(remote.kind, body, remote.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Tagged objects that are not desired: objects to remove, and copies that another user made of managed objects."""

    removals: tuple[OwnedObject, ...] = ()
    copies: tuple[OwnedObject, ...] = ()


def matching_object(
    desired: DesiredObject, inventory: Inventory, record: ObjectRecord | None, owners: Sequence[str]
) -> RemoteObject | None:
    """Return the remote object of a desired object. The first of `owners` is the resource itself."""
    candidates = inventory.of(desired.kind)
    recorded = next((item for item in candidates if record and item.id == record.id), None)
    if desired.kind in KINDS_WITHOUT_OWNERSHIP_TAGS:
        name = "organisation" if desired.kind is ObjectKind.LOG_INDEX_ORDER else desired.key
        return next((item for item in candidates if item.id == name), None)
    if desired.kind is ObjectKind.LOG_INDEX:
        name = desired.definition.body["name"]
        return next((item for item in candidates if item.id == name), None)
    for uid in owners:
        tagged = [item for item in candidates if _has_tag(item, uid, desired.key)]
        if recorded in tagged:
            return recorded
        original = _original(desired, tagged, has_record=record is not None)
        if original is not None:
            return original
    return recorded if recorded is not None and resembles(desired, recorded, owners) else None


def _original(
    desired: DesiredObject, tagged: Sequence[RemoteObject], *, has_record: bool
) -> RemoteObject | None:
    """Return the original of several objects with the same tags: the oldest one with the desired name.

    An object with another name is accepted only if there is no record, because an earlier version of the operator may
    have used another name. If there is a record, the recorded object was deleted, and the others are copies.
    """
    same_name = [item for item in tagged if _name(item) == desired.name]
    return min(same_name or (() if has_record else tagged), key=_age, default=None)


def resembles(desired: DesiredObject, remote: RemoteObject, owners: Sequence[str]) -> bool:
    """Return True if an object that was matched only by its recorded id still is the managed object.

    The tags may have been removed by a user. Or the id belongs to a foreign object, because the keys are now those of
    another organization. So an object without tags must have the desired name.
    """
    tag = ownership_tag(remote)
    if tag is not None:
        return tag.uid in owners and tag.key == desired.key
    return remote.body is None or _name(remote) == desired.name


def orphans(inventory: Inventory, evidence: OwnershipEvidence, kept: Iterable[Address]) -> Orphans:
    """Return the tagged objects that are not in `kept`, in the sequence in which they can be deleted."""
    keep = set(kept)
    removals: list[OwnedObject] = []
    copies: list[OwnedObject] = []
    for kind in DELETION_ORDER:
        for item in sorted(inventory.of(kind), key=_referring_first):
            owned = evidence.owned_object(item)
            if owned is not None and owned.address not in keep:
                (removals if evidence.is_created(owned, item) else copies).append(owned)
    return Orphans(removals=tuple(removals), copies=tuple(copies))


def created_objects(registry: ObjectRegistry) -> frozenset[Address]:
    """Return the objects that the registry records as created."""
    return frozenset(
        (record.kind, record.id) for record in registry if record.id and not record.adopted
    )


def adopted_objects(registry: ObjectRegistry) -> frozenset[Address]:
    """Return the objects that the registry records as adopted."""
    return frozenset((record.kind, record.id) for record in registry if record.adopted)


def listed_objects(inventory: Inventory) -> frozenset[Address]:
    """Return all objects of an inventory."""
    return frozenset((kind, item.id) for kind, items in inventory.objects.items() for item in items)


def adopt_pending(
    inventory: Inventory, registry: ObjectRegistry, desired: Iterable[DesiredObject]
) -> tuple[ObjectRecord, ...]:
    """Return the records of pending metric configurations that exist now, with their ids.

    The operator created such a configuration if its intent was recorded and it does not differ from the desired one.
    The registry is not changed.
    """
    configured = {item.id: item for item in inventory.of(ObjectKind.METRIC_TAGS)}
    adopted = []
    for item in desired:
        record, remote = registry.get(item.definition.reference), configured.get(item.key)
        if item.kind is not ObjectKind.METRIC_TAGS or record is None or remote is None:
            continue
        if record.state is ObjectState.CREATING and not record.id:
            changes = payloads.differences(item.kind, item.definition.body, remote.body or {})
            if not changes:
                adopted.append(replace(record, id=remote.id))
    return tuple(adopted)


def managed_indexes(inventory: Inventory) -> Collection[str]:
    """Return the names of log indexes that any PurpleFleaObservability created."""
    indexes = inventory.of(ObjectKind.LOG_INDEX)
    return frozenset(
        item.id for item in indexes if MANAGED in ((item.body or {}).get("tags") or ())
    )


def _has_tag(remote: RemoteObject, uid: str, key: str) -> bool:
    tag = ownership_tag(remote)
    return tag is not None and (tag.uid, tag.key) == (uid, key)


def _name(remote: RemoteObject) -> str:
    return remote.title or payloads.name_of(remote.body or {})


def _age(remote: RemoteObject) -> tuple[int, str]:
    """Sort key with the oldest object first. Ids of monitors are increasing numbers."""
    return len(remote.id), remote.id


def _referring_first(remote: RemoteObject) -> tuple[bool, bool]:
    monitor_type = (remote.body or {}).get("type")
    return monitor_type != REFERRING_MONITORS[0], monitor_type not in REFERRING_MONITORS

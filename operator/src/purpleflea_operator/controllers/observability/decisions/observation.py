"""Pure: an inventory -> which remote object is the counterpart of each desired object, and which must be read by id.

Lists show nearly all objects. An object that lists do not show (unlisted) is read by its id: all of them if the spec
has changed, otherwise one in each pass, in rotation, so that the cost of a pass does not grow with their number.
The module does not change the registry: an Observation contains the records that have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from purpleflea_operator.controllers.observability.decisions import ownership
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    KINDS_WITHOUT_OWNERSHIP_TAGS,
)
from purpleflea_operator.controllers.observability.decisions.payloads import DesiredObject
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.errors import DatadogError
from purpleflea_operator.datadog.client.models import READABLE_KINDS, Inventory, RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

KINDS_WITH_NAMES_AS_IDS = KINDS_WITHOUT_OWNERSHIP_TAGS | {ObjectKind.LOG_INDEX}
"""Kinds whose ids are names, so that they are the same in every organization."""
MIN_MISSING = 2
"""With fewer recorded objects, missing objects do not indicate keys of another organization."""


@dataclass(slots=True, kw_only=True)
class Observation:
    """Result of one observation: the remote object of each desired object."""

    inventory: Inventory = field(default_factory=Inventory)
    remote: dict[Reference, RemoteObject | None] = field(default_factory=dict)
    unreadable: dict[Reference, DatadogError] = field(default_factory=dict)
    """Objects that may exist but could not be read. They are neither created nor changed."""
    not_checked: set[Reference] = field(default_factory=set)
    """Unlisted objects that this pass does not read. They keep their state."""
    to_read: tuple[tuple[DesiredObject, ObjectRecord], ...] = ()
    """Recorded objects that the lists do not show and that must be read by id."""
    records: tuple[ObjectRecord, ...] = ()
    """Records that the lists have changed. The caller puts them into the registry."""

    def is_missing(self, desired: DesiredObject) -> bool:
        """Return True if the object certainly does not exist."""
        reference = desired.definition.reference
        return (
            self.remote[reference] is None
            and desired.kind not in self.inventory.hidden
            and reference not in self.unreadable
            and reference not in self.not_checked
        )


def observe(
    inventory: Inventory, registry: ObjectRegistry, desired: DesiredState, sequence: int | None
) -> Observation:
    """Match the desired objects with an inventory.

    `sequence` is a number that increases from pass to pass. It is None if all unlisted objects must be read.
    """
    observation = Observation(inventory=inventory)
    to_read, records = [], []
    next_unlisted = _next_unlisted(registry, desired.references, sequence)
    readable_kinds = READABLE_KINDS - frozenset(inventory.hidden)
    for item in desired.objects:
        reference = item.definition.reference
        record = registry.get(reference)
        remote = ownership.matching_object(item, inventory, record, desired.owners)
        observation.remote[reference] = remote
        if record is None:
            continue
        if remote is not None:
            records.append(replace(record, unlisted=False))
        elif record.id and item.kind in readable_kinds:
            # A metric that reports is listed with its configuration, so its absence must be checked at once.
            is_due = reference == next_unlisted or item.key in inventory.reporting
            if record.unlisted and sequence is not None and not is_due:
                observation.not_checked.add(reference)
            else:
                to_read.append((item, record))
    observation.to_read, observation.records = tuple(to_read), tuple(records)
    return observation


def _next_unlisted(
    registry: ObjectRegistry, references: Sequence[Reference], sequence: int | None
) -> Reference | None:
    """Return the unlisted object that this pass reads."""
    unlisted = [item for item in references if (record := registry.get(item)) and record.unlisted]
    return unlisted[sequence % len(unlisted)] if unlisted and sequence is not None else None


def missing_records(
    registry: ObjectRegistry, desired: DesiredState, observation: Observation
) -> tuple[ObjectRecord, ...]:
    """Return all recorded objects if none of them exists any more, because the keys may be of another organization."""
    recorded = [
        (item, record)
        for item in desired.objects
        if item.kind not in KINDS_WITH_NAMES_AS_IDS
        and (record := registry.get(item.definition.reference))
        and record.id
    ]
    if len(recorded) < MIN_MISSING:
        return ()
    if not all(observation.is_missing(item) for item, _ in recorded):
        return ()
    return tuple(record for _, record in recorded)

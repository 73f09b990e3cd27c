"""Pure: intents of creates. The operator records an intent before it creates an object.

A create without a response, or a create of a pass that was interrupted, may take effect late. A list that does not show
the object proves nothing until LATE_CREATE has passed.
"""

from dataclasses import replace
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.observation import Observation
from purpleflea_operator.controllers.observability.decisions.payloads import DesiredObject
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference


def is_creatable(desired: DesiredObject, observation: Observation) -> bool:
    """Return True if the object is missing and Datadog would accept its create."""
    if not observation.is_missing(desired) or desired.kind is ObjectKind.LOG_INDEX_ORDER:
        return False
    return (
        desired.kind is not ObjectKind.METRIC_TAGS or desired.key in observation.inventory.reporting
    )


def record_intent(
    registry: ObjectRegistry, desired: DesiredState, observation: Observation, now: datetime
) -> tuple[bool, frozenset[Reference]]:
    """Record in the registry which objects the pass will create, and sort it.

    Return True if there are such objects, and the objects whose pending create delays the next attempt.
    """
    has_new, waiting = False, set()
    for item in desired.objects:
        reference = item.definition.reference
        if not is_creatable(item, observation):
            continue
        record = registry.get(reference)
        if record is not None and is_pending(record) and not _is_expired(record, now):
            waiting.add(reference)
            registry.put(with_since(record, now))
        else:
            has_new = True
            registry.put(ObjectRecord(kind=item.kind, key=item.key, state=ObjectState.CREATING))
    registry.sort(desired.references)
    return has_new, frozenset(waiting)


def discard_intent(registry: ObjectRegistry, waiting: frozenset[Reference]) -> None:
    """Discard the intents in the registry for which a pass that ends early has sent no request.

    These objects were certainly not created. If a create had no response, its record has a `since`, so it stays.
    """
    for record in tuple(registry):
        if is_pending(record) and not record.since and record.reference not in waiting:
            registry.put(replace(record, state=ObjectState.WAITING, last_error="not attempted yet"))


def is_pending(record: ObjectRecord) -> bool:
    """Return True if the object may be created, or may have been created without a response."""
    return record.state is ObjectState.CREATING and not record.id


def known_record(
    former: ObjectRecord | None, desired: DesiredObject, remote: RemoteObject
) -> ObjectRecord:
    """Return the record of a metric configuration that exists, although its create was about to be recorded.

    `former` is the record before that. It proves that the operator created the configuration if it has the id of an
    object that was not adopted, or the intent of a create. Otherwise another user created the configuration.
    """
    if former is None or not (former.id or is_pending(former)):
        return ObjectRecord(kind=desired.kind, key=desired.key, state=ObjectState.WAITING)
    return replace(former, id=remote.id)


def with_since(record: ObjectRecord, now: datetime) -> ObjectRecord:
    """Return the record with the time from which LATE_CREATE counts, unless it has one."""
    return record if _since(record) else replace(record, since=now.isoformat(timespec="seconds"))


def _is_expired(record: ObjectRecord, now: datetime) -> bool:
    since = _since(record)
    return since is not None and now - since >= timings.LATE_CREATE


def _since(record: ObjectRecord) -> datetime | None:
    """Return the time, None also if another client wrote an unreadable text."""
    try:
        since = datetime.fromisoformat(record.since)
    except ValueError:
        return None
    return since if since.tzinfo else None

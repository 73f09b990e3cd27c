"""Finalizer of a PurpleFleaObservability: removes the managed objects from Datadog, then removes the finalizer.

After CLEANUP_GIVE_UP_S the finalizer is removed even if objects are left, because a finalizer that waits for Datadog
forever would block the namespace. Objects are deleted in the reverse sequence of their creation, and only if the
operator created them. The removal can be interrupted at any point and run again, because the remaining objects still
have their ownership tags.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability.credentials import KeysError
from purpleflea_operator.controllers.observability.decisions import (
    downtimes,
    ownership,
    pending_creates,
    status,
)
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.observation import (
    KINDS_WITH_NAMES_AS_IDS,
)
from purpleflea_operator.controllers.observability.decisions.ownership import (
    Orphans,
    OwnershipEvidence,
)
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
    registry_from_status,
)
from purpleflea_operator.controllers.observability.decisions.status import ConditionValue, SyncState
from purpleflea_operator.controllers.observability.status_writer import FINALIZER, ResourceWriter
from purpleflea_operator.controllers.observability.sync import MAX_FAILURES
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.client.listing import LIST_CALLS
from purpleflea_operator.datadog.client.models import READABLE_KINDS, Inventory
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.kube import errors as kube_errors
from purpleflea_operator.kube.events import Event
from purpleflea_operator.runtime.workers import Result

logger = logging.getLogger(__name__)

MAX_NAMED = 10
LEFT = (
    "left in Datadog because nothing proves that this resource created them"
    " (the ownership tags are missing or copied)"
)
NOTHING_REMOVED = (
    "none of the objects in the status was in Datadog, so nothing was removed. If the API keys now belong to a"
    " different Datadog organization, these objects remain in the previous one"
)

Connect = Callable[[], Awaitable[tuple[DatadogClient, DesiredState]]]
"""Returns the client and the desired state for a removal. May raise KeysError and DatadogError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupResult:
    """Result of a removal."""

    left: tuple[str, ...] = ()
    """Objects that Datadog did not delete."""
    pending: tuple[str, ...] = ()
    """Creates that may still take effect."""
    removed: int = 0
    unproven: tuple[str, ...] = ()
    """Objects that are in the status or have the ownership tags, but are not proven to be created by the operator."""
    shared: tuple[str, ...] = ()
    """Metric configurations that another resource uses, too."""


async def release(writer: ResourceWriter, cause: str) -> Result:
    """Remove the finalizer and keep the objects in Datadog."""
    if FINALIZER in writer.finalizers:
        message = f"the objects in Datadog are kept because {cause}"
        await writer.emit_events([Event(type="Normal", reason=Reason.RETAINED, message=message)])
        await writer.set_finalizer(present=False)
    return Result()


async def finalize(writer: ResourceWriter, connect: Connect) -> Result:
    """Remove the managed objects, then the finalizer.

    The time limit starts with the first attempt, not with the deletion, because the operator may have been down when
    the resource was deleted. If `connect` cannot succeed, as with an invalid spec, only the time limit ends the
    removal.

    Raises:
        ApiError: Objects are left, and another attempt may remove them.
    """
    if FINALIZER not in writer.finalizers:
        return Result()
    started_at = writer.removal_started_at()
    elapsed_s, hold_s = writer.elapsed_s(started_at), 0.0
    registry = registry_from_status(writer.status)
    try:
        result = await clean_up(*await connect(), registry)
        cause = _obstacle(result, writer.deleting_s() or 0.0)
        if not cause:
            return await _complete(writer, result, registry)
        hold_s = timings.LATE_CREATE.total_seconds() if result.pending else 0.0
    except errors.DatadogThrottled as error:
        remaining_s = max(1.0, timings.CLEANUP_GIVE_UP_S - elapsed_s)
        cause, hold_s = str(error), min(error.reset_s, remaining_s)
    except (KeysError, errors.DatadogError) as error:
        cause = str(error)
    if elapsed_s >= timings.CLEANUP_GIVE_UP_S:
        return await _give_up(writer, cause)
    message = f"objects are not yet removed from Datadog: {cause}"
    deleting = ConditionValue(status="False", reason=Reason.DELETING, message=message)
    sync_state = SyncState(
        generation=writer.generation, interruption=deleting, removal_started_at=started_at
    )
    await writer.patch_status(registry_from_status(writer.status), sync_state)
    raise kube_errors.Unavailable(f"Datadog: {cause}", hold_s)


def _obstacle(result: CleanupResult, deleting_s: float) -> str:
    """Return the reason why the finalizer must stay, empty if there is none."""
    if result.left:
        return "; ".join(result.left[:MAX_NAMED])
    if result.pending and deleting_s < timings.LATE_CREATE.total_seconds():
        names = ", ".join(result.pending[:MAX_NAMED])
        return f"a request without a response may take effect late, so these may still be created: {names}"
    return ""


async def _complete(
    writer: ResourceWriter, result: CleanupResult, registry: ObjectRegistry
) -> Result:
    text = f"{result.removed} objects were removed from Datadog"
    if result.shared:
        text += f"; kept because another resource uses them: {status.listed(result.shared)}"
    events = [Event(type="Normal", reason=Reason.REMOVED, message=text)]
    if result.unproven:
        message = f"{LEFT}: {status.listed(result.unproven)}"
        events.append(Event(type="Warning", reason=Reason.LEFT_BEHIND, message=message))
    names = [
        record.name
        for record in registry
        if record.id and record.kind not in KINDS_WITH_NAMES_AS_IDS
    ]
    if names and not (result.removed or result.unproven or result.shared):
        message = f"{NOTHING_REMOVED}: {status.listed(names)}"
        events.append(Event(type="Warning", reason=Reason.NOTHING_FOUND, message=message))
    await writer.emit_events(events)
    await writer.set_finalizer(present=False)
    return Result()


async def _give_up(writer: ResourceWriter, cause: str) -> Result:
    created = [
        record.name
        for record in registry_from_status(writer.status)
        if record.id and not record.adopted
    ]
    text = (
        f"gave up the removal after {timings.CLEANUP_GIVE_UP_S:g} s: {cause}. Delete the objects with the tag"
        f" purpleflea-uid:{writer.uid} in Datadog manually; the operator created {', '.join(created[:MAX_NAMED])}"
        + (f" and {len(created) - MAX_NAMED} more" if len(created) > MAX_NAMED else "")
    )
    logger.error("objects are left in Datadog", extra={"detail": text})
    await writer.emit_events([Event(type="Warning", reason=Reason.GAVE_UP, message=text)])
    await writer.set_finalizer(present=False)
    return Result()


async def clean_up(
    datadog: DatadogClient, desired: DesiredState, registry: ObjectRegistry
) -> CleanupResult:
    """Delete all objects that the operator created for the resource.

    Raises:
        Throttled: The rate limit is exceeded.
        Unreachable: Datadog did not answer.
    """
    inventory = await datadog.list_objects(desired.list_filter, LIST_CALLS)
    await _end_downtimes(datadog, desired.uid, registry)
    registry.update(ownership.adopt_pending(inventory, registry, desired.objects))
    evidence = desired.ownership_evidence(
        registry, inventory, created=ownership.created_objects(registry)
    )
    orphans = ownership.orphans(inventory, evidence, kept=())
    shared = [
        key
        for kind, key in evidence.created
        if kind is ObjectKind.METRIC_TAGS and key in evidence.shared
    ]
    unproven = [copy.name for copy in orphans.copies]
    unproven += [name async for name in _untagged(datadog, inventory, registry, evidence, orphans)]
    left = [
        f"{record.name}: {inventory.hidden[record.kind]}"
        for record in registry
        if record.kind in inventory.hidden and record.id and not record.adopted
    ]
    removed, refused = await _delete(datadog, orphans)
    return CleanupResult(
        left=(*left, *refused),
        pending=tuple(_pending(inventory, registry)),
        removed=removed,
        unproven=tuple(unproven),
        shared=tuple(sorted(shared)),
    )


async def _end_downtimes(datadog: DatadogClient, uid: str, registry: ObjectRegistry) -> None:
    """Cancel the downtimes. If Datadog refuses it, they mute a monitor that is removed, and end by themselves."""
    if not registry.silenced_until:
        return
    try:
        for item in downtimes.downtimes_of(uid, await datadog.downtimes.list()):
            await datadog.downtimes.cancel(item.id)
    except (errors.DatadogForbidden, errors.Refused, errors.DatadogNotFound) as error:
        logger.warning("downtimes were not canceled", extra={"error": str(error)})


async def _delete(datadog: DatadogClient, orphans: Orphans) -> tuple[int, list[str]]:
    removed, refused, failures = 0, [], 0
    for orphan in orphans.removals:
        try:
            await datadog.delete(orphan.kind, orphan.id)
            removed += 1
            logger.info("deleted object", extra={"object": orphan.name})
        except errors.DatadogThrottled:
            raise
        except errors.DatadogError as error:
            refused.append(f"{orphan.name}: {error}")
            failures += isinstance(error, errors.Unreachable)
            if failures >= MAX_FAILURES:
                raise
    return removed, refused


async def _untagged(
    datadog: DatadogClient,
    inventory: Inventory,
    registry: ObjectRegistry,
    evidence: OwnershipEvidence,
    orphans: Orphans,
) -> AsyncIterator[str]:
    """Yield created objects that still exist without ownership tags. Their list may omit them, so they are read."""
    listed = ownership.listed_objects(inventory)
    settled = {orphan.address for orphan in (*orphans.removals, *orphans.copies)}
    for record in registry:
        address = (record.kind, record.id)
        if address not in evidence.created - settled or record.kind in inventory.hidden:
            continue
        if record.kind is ObjectKind.LOG_INDEX_ORDER or record.id in evidence.shared:
            continue
        if address in listed or await _exists(datadog, record):
            yield record.name


async def _exists(datadog: DatadogClient, record: ObjectRecord) -> bool:
    if record.kind not in READABLE_KINDS:
        return False
    try:
        return await datadog.read(record.kind, record.id) is not None
    except (errors.DatadogForbidden, errors.Refused):
        return True


def _pending(inventory: Inventory, registry: ObjectRegistry) -> Iterable[str]:
    """Yield creates without a response whose object is not listed. It would be an orphan if it appeared late."""
    listed = {item.id for kind in inventory.objects for item in inventory.of(kind)}
    for record in registry:
        if pending_creates.is_pending(record) and record.key not in listed:
            yield f"{record.kind}/{record.key}"

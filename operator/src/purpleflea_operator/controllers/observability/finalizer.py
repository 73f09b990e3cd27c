"""A resource that is being deleted: remove what is ours from Datadog, then let it go; after a time, let it go anyway.

A finalizer that waits for Datadog for ever would block its namespace: who deletes must be able to.

The end of a resource: everything of ours is removed from Datadog, in reverse order; nothing else is.

It may be cut off anywhere and simply be run again: what is still there carries our mark.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability.credentials import KeysError
from purpleflea_operator.controllers.observability.decisions import (
    ownership,
    pending_creates,
    status,
)
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.ownership import (
    Orphans,
    OwnershipEvidence,
)
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
    remembered,
)
from purpleflea_operator.controllers.observability.decisions.status import ConditionValue, SyncState
from purpleflea_operator.controllers.observability.observation import BY_NAME
from purpleflea_operator.controllers.observability.status_writer import FINALIZER, ResourceWriter
from purpleflea_operator.controllers.observability.sync import FAILURES
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import READABLE, DatadogClient
from purpleflea_operator.datadog.client.listing import LOOKS
from purpleflea_operator.datadog.client.models import Inventory
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.kube import errors as cluster_errors
from purpleflea_operator.kube.events import Event
from purpleflea_operator.runtime.workers import Result

logger = logging.getLogger(__name__)

NAMED = 10
LEFT = "left in Datadog, as nothing proves that we made them (no mark, or a copy of one)"
NOTHING = (
    "nothing of what the status names was there to be removed. If the keys are those of another organisation now,"
    " the former one still holds"
)

Connect = Callable[[], Awaitable[tuple[DatadogClient, DesiredState]]]
"""Yields where to remove what. May raise KeysError and DatadogError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What a removal left: objects that Datadog would not give up, and creates whose outcome is still open."""

    left: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    removed: int = 0
    unproven: tuple[str, ...] = ()
    """What the status names or a mark claims, and nothing proves to be ours: it stays."""
    shared: tuple[str, ...] = ()
    """Configurations that another resource wants as well."""


async def retain(scribe: ResourceWriter, why: str) -> Result:
    """Let the resource go and leave Datadog as it is."""
    if FINALIZER in scribe.finalizers:
        await scribe.tell(
            [Event(type="Normal", reason=Reason.RETAINED, message=f"Datadog is left as is: {why}")]
        )
        await scribe.hold(wanted=False)
    return Result()


async def end(scribe: ResourceWriter, connect: Connect) -> Result:
    """Remove what is ours and let the resource go; where nothing connects (the spec is invalid), only time can.

    Time counts from the first attempt: who was away when the resource was deleted has tried nothing yet.

    Raises:
        ApiError: Something is left and it is worth another try.
    """
    if FINALIZER not in scribe.finalizers:
        return Result()
    since = scribe.removal_since()
    tried_s, hold_s = scribe.passed_s(since), 0.0
    memory = remembered(scribe.status)
    try:
        remainder = await remove(*await connect(), memory)
        why = _left(remainder, scribe.deleted_s() or 0.0)
        if not why:
            return await _done(scribe, remainder, memory)
        hold_s = timings.LATE_CREATE.total_seconds() if remainder.pending else 0.0
    except errors.Throttled as error:
        why, hold_s = str(error), min(error.reset_s, max(1.0, timings.CLEANUP_GIVE_UP_S - tried_s))
    except (KeysError, errors.DatadogError) as error:
        why = str(error)
    if tried_s >= timings.CLEANUP_GIVE_UP_S:
        return await _give_up(scribe, why)
    generation = scribe.resource["metadata"].get("generation", 0)
    halt = ConditionValue(status="False", reason=Reason.DELETING, message=f"not yet removed: {why}")
    standing = SyncState(generation=generation, halt=halt, removal_since=since)
    await scribe.write(remembered(scribe.status), standing)
    raise cluster_errors.Unavailable(f"Datadog: {why}", hold_s)


def _left(remainder: Remainder, since_s: float) -> str:
    if remainder.left:
        return "; ".join(remainder.left[:NAMED])
    if remainder.pending and since_s < timings.LATE_CREATE.total_seconds():
        return f"may still be made: {', '.join(remainder.pending[:NAMED])}"
    return ""


async def _done(scribe: ResourceWriter, remainder: Remainder, memory: ObjectRegistry) -> Result:
    text = f"{remainder.removed} objects are removed from Datadog"
    if remainder.shared:
        text += f"; left, as another resource wants them: {status.listed(remainder.shared)}"
    turns = [Event(type="Normal", reason=Reason.REMOVED, message=text)]
    if remainder.unproven:
        message = f"{LEFT}: {status.listed(remainder.unproven)}"
        turns.append(Event(type="Warning", reason=Reason.LEFT_BEHIND, message=message))
    names = [
        f"{entry.kind}/{entry.key} ({entry.id})"
        for entry in memory
        if entry.id and entry.kind not in BY_NAME
    ]
    if names and not (remainder.removed or remainder.unproven or remainder.shared):
        message = f"{NOTHING}: {status.listed(names)}"
        turns.append(Event(type="Warning", reason=Reason.NOTHING_FOUND, message=message))
    await scribe.tell(turns)
    await scribe.hold(wanted=False)
    return Result()


async def _give_up(scribe: ResourceWriter, why: str) -> Result:
    made = [
        f"{entry.kind}/{entry.key} ({entry.id})"
        for entry in remembered(scribe.status)
        if entry.id and not entry.adopted
    ]
    text = (
        f"gave up after {timings.CLEANUP_GIVE_UP_S:g} s: {why}. Remove by hand what is tagged"
        f" purpleflea-uid:{scribe.uid}; made were {', '.join(made[:NAMED])}"
        + (f" and {len(made) - NAMED} more" if len(made) > NAMED else "")
    )
    logger.error("objects are left in Datadog", extra={"detail": text})
    await scribe.tell([Event(type="Warning", reason=Reason.GAVE_UP, message=text)])
    await scribe.hold(wanted=False)
    return Result()


async def remove(
    organisation: DatadogClient, goal: DesiredState, memory: ObjectRegistry
) -> Remainder:
    """Remove everything of ours.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    survey = await organisation.look(goal.scope, LOOKS)
    ownership.adopt_pending(survey, memory, goal.wanted)
    proof = goal.proof(memory, survey, made=ownership.made(memory))
    surplus = ownership.surplus(survey, proof, kept=())
    shared = [
        key for kind, key in proof.made if kind is ObjectKind.METRIC_TAGS and key in proof.shared
    ]
    unproven = [removal.name for removal in surplus.copies]
    unproven += [name async for name in _unmarked(organisation, survey, memory, proof, surplus)]
    left = [
        f"{entry.kind}/{entry.key} ({entry.id}): {survey.hidden[entry.kind]}"
        for entry in memory
        if entry.kind in survey.hidden and entry.id and not entry.adopted
    ]
    removed, refused = await _delete(organisation, surplus)
    return Remainder(
        left=(*left, *refused),
        pending=tuple(_pending(survey, memory)),
        removed=removed,
        unproven=tuple(unproven),
        shared=tuple(sorted(shared)),
    )


async def _delete(organisation: DatadogClient, surplus: Orphans) -> tuple[int, list[str]]:
    removed, refused, failures = 0, [], 0
    for removal in surplus.removals:
        try:
            await organisation.delete(removal.kind, removal.id)
            removed += 1
            logger.info("removed", extra={"object": removal.name})
        except errors.Throttled:
            raise
        except errors.DatadogError as error:
            refused.append(f"{removal.name}: {error}")
            failures += isinstance(error, errors.Unreachable)
            if failures >= FAILURES:
                raise
    return removed, refused


async def _unmarked(
    organisation: DatadogClient,
    survey: Inventory,
    memory: ObjectRegistry,
    proof: OwnershipEvidence,
    surplus: Orphans,
) -> AsyncIterator[str]:
    """What was made and is still there, but carries our mark no more; its list may not show it either."""
    shown = ownership.shown(survey)
    settled = {removal.address for removal in (*surplus.removals, *surplus.copies)}
    for entry in memory:
        address = (entry.kind, entry.id)
        if address not in proof.made - settled or entry.kind in survey.hidden:
            continue
        if entry.kind is ObjectKind.LOG_INDEX_ORDER or entry.id in proof.shared:
            continue
        if address in shown or await _exists(organisation, entry):
            yield f"{entry.kind}/{entry.key} ({entry.id})"


async def _exists(organisation: DatadogClient, entry: ObjectRecord) -> bool:
    if entry.kind not in READABLE:
        return False
    try:
        return await organisation.read(entry.kind, entry.id) is not None
    except (errors.Forbidden, errors.Refused):
        return True


def _pending(survey: Inventory, memory: ObjectRegistry) -> Iterable[str]:
    """Creates without an answer whose object is not to be seen; a late one would be an orphan."""
    shown = {item.id for kind in survey.objects for item in survey.of(kind)}
    for entry in memory:
        if pending_creates.is_pending(entry) and entry.key not in shown:
            yield f"{entry.kind}/{entry.key}"

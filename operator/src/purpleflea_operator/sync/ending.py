"""A resource that is being deleted: remove what is ours from Datadog, then let it go; after a time, let it go anyway.

A finalizer that waits for Datadog for ever would block its namespace: who deletes must be able to.
"""

import logging
from collections.abc import Awaitable, Callable

from purpleflea_operator.cluster import errors as cluster_errors
from purpleflea_operator.datadog_api import errors
from purpleflea_operator.datadog_api.organisation import Organisation
from purpleflea_operator.reconcile.reconciler import Result
from purpleflea_operator.reconcile.transitions import Transition
from purpleflea_operator.sync import report
from purpleflea_operator.sync.goals import Goal
from purpleflea_operator.sync.keys import KeysError
from purpleflea_operator.sync.memory import Memory, remembered
from purpleflea_operator.sync.removal import Remainder, remove
from purpleflea_operator.sync.report import Standing, Verdict
from purpleflea_operator.sync.scribe import FINALIZER, Scribe
from purpleflea_operator.sync.sight import BY_NAME

logger = logging.getLogger(__name__)

GIVE_UP_S = 600.0
UNANSWERED_S = 10.0
"""How long a create without an answer may still take effect."""
NAMED = 10
LEFT = "left in Datadog, as nothing proves that we made them (no mark, or a copy of one)"
NOTHING = (
    "nothing of what the status names was there to be removed. If the keys are those of another organisation now,"
    " the former one still holds"
)

Connect = Callable[[], Awaitable[tuple[Organisation, Goal]]]
"""Yields where to remove what. May raise KeysError and DatadogError."""


async def retain(scribe: Scribe, why: str) -> Result:
    """Let the resource go and leave Datadog as it is."""
    if FINALIZER in scribe.finalizers:
        await scribe.tell(
            [Transition(type="Normal", reason="Retained", message=f"Datadog is left as is: {why}")]
        )
        await scribe.hold(wanted=False)
    return Result()


async def end(scribe: Scribe, connect: Connect) -> Result:
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
        hold_s = UNANSWERED_S if remainder.pending else 0.0
    except errors.Throttled as error:
        why, hold_s = str(error), min(error.reset_s, max(1.0, GIVE_UP_S - tried_s))
    except (KeysError, errors.DatadogError) as error:
        why = str(error)
    if tried_s >= GIVE_UP_S:
        return await _give_up(scribe, why)
    generation = scribe.resource["metadata"].get("generation", 0)
    halt = Verdict(status="False", reason="Deleting", message=f"not yet removed: {why}")
    standing = Standing(generation=generation, halt=halt, removal_since=since)
    await scribe.write(remembered(scribe.status), standing)
    raise cluster_errors.Unavailable(f"Datadog: {why}", hold_s)


def _left(remainder: Remainder, since_s: float) -> str:
    if remainder.left:
        return "; ".join(remainder.left[:NAMED])
    if remainder.pending and since_s < UNANSWERED_S:
        return f"may still be made: {', '.join(remainder.pending[:NAMED])}"
    return ""


async def _done(scribe: Scribe, remainder: Remainder, memory: Memory) -> Result:
    text = f"{remainder.removed} objects are removed from Datadog"
    if remainder.shared:
        text += f"; left, as another resource wants them: {report.listed(remainder.shared)}"
    turns = [Transition(type="Normal", reason="Removed", message=text)]
    if remainder.unproven:
        message = f"{LEFT}: {report.listed(remainder.unproven)}"
        turns.append(Transition(type="Warning", reason="LeftBehind", message=message))
    names = [
        f"{entry.kind}/{entry.key} ({entry.id})"
        for entry in memory
        if entry.id and entry.kind not in BY_NAME
    ]
    if names and not (remainder.removed or remainder.unproven or remainder.shared):
        message = f"{NOTHING}: {report.listed(names)}"
        turns.append(Transition(type="Warning", reason="NothingFound", message=message))
    await scribe.tell(turns)
    await scribe.hold(wanted=False)
    return Result()


async def _give_up(scribe: Scribe, why: str) -> Result:
    made = [
        f"{entry.kind}/{entry.key} ({entry.id})"
        for entry in remembered(scribe.status)
        if entry.id and not entry.adopted
    ]
    text = (
        f"gave up after {GIVE_UP_S:g} s: {why}. Remove by hand what is tagged"
        f" purpleflea-uid:{scribe.uid}; made were {', '.join(made[:NAMED])}"
        + (f" and {len(made) - NAMED} more" if len(made) > NAMED else "")
    )
    logger.error("objects are left in Datadog", extra={"detail": text})
    await scribe.tell([Transition(type="Warning", reason="GaveUp", message=text)])
    await scribe.hold(wanted=False)
    return Result()

"""The end of a resource: everything of ours is removed from Datadog, in reverse order; nothing else is.

It may be cut off anywhere and simply be run again: what is still there carries our mark.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from purpleflea_operator.datadog_api import errors
from purpleflea_operator.datadog_api.found import Survey
from purpleflea_operator.datadog_api.lists import LOOKS
from purpleflea_operator.datadog_api.organisation import READABLE, Organisation
from purpleflea_operator.observability.objects import Kind
from purpleflea_operator.sync import announcing, holdings
from purpleflea_operator.sync.goals import Goal
from purpleflea_operator.sync.holdings import Proof, Surplus
from purpleflea_operator.sync.memory import Entry, Memory
from purpleflea_operator.sync.run import FAILURES

logger = logging.getLogger(__name__)


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


async def remove(organisation: Organisation, goal: Goal, memory: Memory) -> Remainder:
    """Remove everything of ours.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    survey = await organisation.look(goal.scope, LOOKS)
    holdings.settle(survey, memory, goal.wanted)
    proof = goal.proof(memory, survey, made=holdings.made(memory))
    surplus = holdings.surplus(survey, proof, kept=())
    shared = [key for kind, key in proof.made if kind is Kind.METRIC_TAGS and key in proof.shared]
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


async def _delete(organisation: Organisation, surplus: Surplus) -> tuple[int, list[str]]:
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
    organisation: Organisation, survey: Survey, memory: Memory, proof: Proof, surplus: Surplus
) -> AsyncIterator[str]:
    """What was made and is still there, but carries our mark no more; its list may not show it either."""
    shown = holdings.shown(survey)
    settled = {removal.address for removal in (*surplus.removals, *surplus.copies)}
    for entry in memory:
        address = (entry.kind, entry.id)
        if address not in proof.made - settled or entry.kind in survey.hidden:
            continue
        if entry.kind is Kind.LOG_INDEX_ORDER or entry.id in proof.shared:
            continue
        if address in shown or await _exists(organisation, entry):
            yield f"{entry.kind}/{entry.key} ({entry.id})"


async def _exists(organisation: Organisation, entry: Entry) -> bool:
    if entry.kind not in READABLE:
        return False
    try:
        return await organisation.read(entry.kind, entry.id) is not None
    except (errors.Forbidden, errors.Refused):
        return True


def _pending(survey: Survey, memory: Memory) -> Iterable[str]:
    """Creates without an answer whose object is not to be seen; a late one would be an orphan."""
    shown = {item.id for kind in survey.objects for item in survey.of(kind)}
    for entry in memory:
        if announcing.is_open(entry) and entry.key not in shown:
            yield f"{entry.kind}/{entry.key}"

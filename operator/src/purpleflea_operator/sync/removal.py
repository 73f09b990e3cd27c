"""The end of a resource: everything of ours is removed from Datadog, in reverse order; nothing else is.

It may be cut off anywhere and simply be run again: what is still there carries our mark.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from purpleflea_operator.datadog_api import errors
from purpleflea_operator.datadog_api.found import Survey
from purpleflea_operator.datadog_api.lists import LOOKS
from purpleflea_operator.datadog_api.organisation import Organisation
from purpleflea_operator.model.observability_status import State
from purpleflea_operator.observability.objects import Kind
from purpleflea_operator.sync import bodies, holdings
from purpleflea_operator.sync.bodies import Wanted
from purpleflea_operator.sync.goals import Goal
from purpleflea_operator.sync.memory import Memory
from purpleflea_operator.sync.run import FAILURES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What a removal left: objects that Datadog would not give up, and creates whose outcome is still open."""

    left: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    removed: int = 0


async def remove(organisation: Organisation, memory: Memory, goal: Goal) -> Remainder:
    """Remove everything of ours.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    survey = await organisation.look(goal.scope, LOOKS)
    _settle(survey, memory, goal.wanted)
    left = [
        f"{entry.kind}/{entry.key} ({entry.id}): {survey.hidden[entry.kind]}"
        for entry in memory
        if entry.kind in survey.hidden and entry.id and not entry.adopted
    ]
    removed, failures = 0, 0
    for removal in holdings.removals(survey, memory, goal.uid, kept=()):
        try:
            await organisation.delete(removal.kind, removal.id)
            removed += 1
            logger.info("removed", extra={"object": removal.name})
        except errors.Throttled:
            raise
        except errors.DatadogError as error:
            left.append(f"{removal.name}: {error}")
            failures += isinstance(error, errors.Unreachable)
            if failures >= FAILURES:
                raise
    return Remainder(left=tuple(left), pending=tuple(_pending(survey, memory)), removed=removed)


def _settle(survey: Survey, memory: Memory, wanted: Iterable[Wanted]) -> None:
    """A configuration that was announced, and now is exactly there, was made by us."""
    configured = {item.id: item for item in survey.of(Kind.METRIC_TAGS)}
    for item in wanted:
        entry = memory.get(item.definition.reference)
        found = configured.get(item.key)
        if item.kind is not Kind.METRIC_TAGS or entry is None or found is None:
            continue
        if entry.state is State.CREATING and not entry.id:
            changes = bodies.differences(item.kind, item.definition.body, found.body or {})
            if not changes:
                memory.put(replace(entry, id=found.id))


def _pending(survey: Survey, memory: Memory) -> Iterable[str]:
    """Creates without an answer whose object is not to be seen; a late one would be an orphan."""
    shown = {item.id for kind in survey.objects for item in survey.of(kind)}
    for entry in memory:
        if entry.state is State.CREATING and not entry.id and entry.key not in shown:
            yield f"{entry.kind}/{entry.key}"

"""Removing what is ours and no longer wanted: left-out features, former names, doubles."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from purpleflea_operator.datadog_api import errors
from purpleflea_operator.datadog_api.found import Found, Survey
from purpleflea_operator.datadog_api.organisation import Organisation
from purpleflea_operator.model.observability_status import State
from purpleflea_operator.observability.objects import Reference
from purpleflea_operator.sync import holdings
from purpleflea_operator.sync.goals import Goal
from purpleflea_operator.sync.holdings import Removal
from purpleflea_operator.sync.memory import Entry, Memory

logger = logging.getLogger(__name__)


async def prune(
    organisation: Organisation,
    survey: Survey,
    memory: Memory,
    goal: Goal,
    found: Mapping[Reference, Found | None],
) -> None:
    """Remove it, or say in mode Plan that it would be.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    wanted = [item.definition.reference for item in goal.wanted]
    kept = [(entry.kind, entry.id) for entry in memory if entry.id and entry.reference in found]
    kept += [(item.kind, item.id) for item in found.values() if item is not None]
    stays = set(wanted)
    for removal in holdings.removals(survey, memory, goal.uid, kept):
        reference = Reference(kind=removal.kind, key=removal.key)
        if goal.plans:
            if reference not in found:
                _note(memory, removal, State.PLANNED, change="delete")
                stays.add(reference)
            continue
        try:
            await organisation.delete(removal.kind, removal.id)
            logger.info("removed", extra={"object": removal.name})
        except (errors.Forbidden, errors.Refused) as error:
            logger.warning("not removed", extra={"object": removal.name, "error": str(error)})
            if reference not in found:
                _note(memory, removal, State.FAILED, last_error=f"not removed: {error}")
                stays.add(reference)
    for entry in tuple(memory):
        if entry.reference not in stays and entry.kind not in survey.hidden:
            memory.drop(entry.reference)
    memory.arrange(wanted)


def _note(
    memory: Memory, removal: Removal, state: State, *, change: str = "", last_error: str = ""
) -> None:
    entry = memory.get(Reference(kind=removal.kind, key=removal.key)) or Entry(
        kind=removal.kind, key=removal.key, state=state, id=removal.id
    )
    memory.put(replace(entry, state=state, change=change, last_error=last_error))

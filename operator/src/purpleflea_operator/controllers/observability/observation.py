"""The look that begins a pass: what Datadog holds, and which object of it is the wanted one. It writes nothing.

Lists show nearly everything. What they do not show is asked for by its id: all of it when the spec is new, else one
object at each look, in turn, so that a look costs the same however many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from purpleflea_operator.controllers.observability.decisions import ownership
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.ownership_tags import UNMARKED
from purpleflea_operator.controllers.observability.decisions.payloads import Wanted
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import READABLE, DatadogClient
from purpleflea_operator.datadog.client.errors import DatadogError
from purpleflea_operator.datadog.client.listing import LOOKS
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

BY_NAME = UNMARKED | {ObjectKind.LOG_INDEX}
"""Kinds whose ids are names, and the same in every organisation."""
MANY = 2


@dataclass(slots=True, kw_only=True)
class Observation:
    """What a look shows of the wanted objects."""

    survey: Inventory = field(default_factory=Inventory)
    found: dict[Reference, RemoteObject | None] = field(default_factory=dict)
    barred: dict[Reference, DatadogError] = field(default_factory=dict)
    """Objects that may exist and could not be asked for: neither made nor changed."""
    resting: set[Reference] = field(default_factory=set)
    """Objects that no list shows and whose turn it is not: as they were."""

    def is_missing(self, wanted: Wanted) -> bool:
        """Whether there is surely no such object."""
        reference = wanted.definition.reference
        return (
            self.found[reference] is None
            and wanted.kind not in self.survey.hidden
            and reference not in self.barred
            and reference not in self.resting
        )


async def sight(
    organisation: DatadogClient, memory: ObjectRegistry, goal: DesiredState, turn: int | None
) -> Observation:
    """Look; `turn` is a number that grows from look to look, None where everything is to be asked for.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    kinds = {item.kind for item in goal.wanted} | {entry.kind for entry in memory}
    survey = await organisation.look(goal.scope, [kind for kind in LOOKS if kind in kinds])
    seen = Observation(survey=survey)
    asked = _asked(memory, goal.wanted, turn)
    for wanted in goal.wanted:
        reference = wanted.definition.reference
        entry = memory.get(reference)
        found = ownership.match(wanted, survey, entry, goal.owners)
        seen.found[reference] = found
        if entry is None:
            continue
        if found is not None:
            memory.put(replace(entry, unlisted=False))
        elif entry.id and wanted.kind in READABLE and wanted.kind not in survey.hidden:
            if entry.unlisted and turn is not None and reference != asked:
                seen.resting.add(reference)
            else:
                memory.put(await _asked_for(organisation, goal, seen, wanted, entry))
    return seen


def _asked(memory: ObjectRegistry, wanted: Sequence[Wanted], turn: int | None) -> Reference | None:
    references = [item.definition.reference for item in wanted]
    unlisted = [one for one in references if (entry := memory.get(one)) and entry.unlisted]
    return unlisted[turn % len(unlisted)] if unlisted and turn is not None else None


async def _asked_for(
    organisation: DatadogClient,
    goal: DesiredState,
    seen: Observation,
    wanted: Wanted,
    entry: ObjectRecord,
) -> ObjectRecord:
    """Ask for one object by its id."""
    reference = wanted.definition.reference
    try:
        read = await organisation.read(wanted.kind, entry.id)
    except (errors.Forbidden, errors.Refused) as error:
        seen.barred[reference] = error
        return replace(entry, unlisted=True)
    if read is None or not ownership.resembles(wanted, read, goal.owners):
        return entry
    seen.found[reference] = read
    return replace(entry, unlisted=True)


def all_gone(
    memory: ObjectRegistry, goal: DesiredState, seen: Observation
) -> tuple[ObjectRecord, ...]:
    """Everything that was made, where nothing of it is there any more: whose keys are these?"""
    known = [
        (wanted, entry)
        for wanted in goal.wanted
        if wanted.kind not in BY_NAME
        and (entry := memory.get(wanted.definition.reference))
        and entry.id
    ]
    if len(known) < MANY or not all(seen.is_missing(wanted) for wanted, _ in known):
        return ()
    return tuple(entry for _, entry in known)

"""Removing what we made and is no longer wanted: left-out features, former names, doubles. All of it is told."""

import logging
from dataclasses import replace

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import ownership
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.ownership import Address, OwnedObject
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.controllers.observability.decisions.status import PassResult
from purpleflea_operator.controllers.observability.observation import Observation
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.definitions.objects import Reference

logger = logging.getLogger(__name__)


class Pruning:
    """The last part of a pass."""

    def __init__(
        self,
        organisation: DatadogClient,
        memory: ObjectRegistry,
        goal: DesiredState,
        sight: Observation,
        outcome: PassResult,
    ) -> None:
        self._organisation = organisation
        self._memory = memory
        self._goal = goal
        self._sight = sight
        self._outcome = outcome
        self._stays = {item.definition.reference for item in goal.wanted}
        self._gone: set[Address] = set()

    async def perform(self, made: frozenset[Address]) -> None:
        """Remove it, or say in mode Plan that it would be. `made` is what the status said before the pass.

        Raises:
            Throttled: Not before its time.
            Unreachable: Datadog is away.
        """
        memory, sight = self._memory, self._sight
        ownership.adopt_pending(sight.survey, memory, self._goal.known)
        proof = self._goal.proof(memory, sight.survey, made=made | ownership.made(memory))
        wanted = tuple(self._stays)
        kept = {(one.kind, entry.id) for one in wanted if (entry := memory.get(one)) and entry.id}
        kept |= {(item.kind, item.id) for item in sight.found.values() if item is not None}
        surplus = ownership.surplus(sight.survey, proof, kept)
        self._outcome.copies += [removal.name for removal in surplus.copies]
        for removal in surplus.removals:
            if self._goal.plans:
                self._keep(removal, State.PLANNED, change="delete")
            else:
                await self._remove(removal)
        self._forget(proof.shared)
        memory.arrange(item.definition.reference for item in self._goal.wanted)

    async def _remove(self, removal: OwnedObject) -> None:
        try:
            await self._organisation.delete(removal.kind, removal.id)
        except (errors.Forbidden, errors.Refused) as error:
            logger.warning("not removed", extra={"object": removal.name, "error": str(error)})
            self._keep(removal, State.FAILED, last_error=f"not removed: {error}")
            return
        logger.info("removed", extra={"object": removal.name})
        self._gone.add(removal.address)
        self._outcome.removed.append(removal.name)

    def _keep(
        self, removal: OwnedObject, state: State, *, change: str = "", last_error: str = ""
    ) -> None:
        """Remember what is still to be removed, unless its entry is that of a wanted object."""
        reference = Reference(kind=removal.kind, key=removal.key)
        if reference in {item.definition.reference for item in self._goal.wanted}:
            return
        entry = self._memory.get(reference) or ObjectRecord(
            kind=removal.kind, key=removal.key, state=state, id=removal.id
        )
        self._memory.put(replace(entry, state=state, change=change, last_error=last_error))
        self._stays.add(reference)

    def _forget(self, shared: frozenset[str]) -> None:
        """Drop the entries of what is not wanted and not there; what stays for a reason is told."""
        shown = ownership.shown(self._sight.survey)
        for entry in tuple(self._memory):
            if entry.reference in self._stays or entry.kind in self._sight.survey.hidden:
                continue
            is_there = (entry.kind, entry.id) in shown - self._gone
            if entry.adopted and is_there:
                left = replace(entry, state=State.LEFT, change="", last_error="")
                self._memory.put(left)
                continue
            if entry.id and (is_there or entry.unlisted) and entry.id not in shared:
                self._outcome.left.append(f"{entry.kind}/{entry.key} ({entry.id})")
            self._memory.drop(entry.reference)

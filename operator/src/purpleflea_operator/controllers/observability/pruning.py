"""Deletes objects that the operator created and that are no longer desired.

These are objects of disabled features, former names, and duplicates. Each one is reported in the result of the pass.
"""

import logging
from dataclasses import replace

from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import ownership
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.observation import Observation
from purpleflea_operator.controllers.observability.decisions.ownership import Address, OwnedObject
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.controllers.observability.decisions.status import PassResult
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.definitions.objects import Reference

logger = logging.getLogger(__name__)


class Pruning:
    """Last step of a pass."""

    def __init__(
        self,
        datadog: DatadogClient,
        registry: ObjectRegistry,
        desired: DesiredState,
        observation: Observation,
        pass_result: PassResult,
    ) -> None:
        self._datadog = datadog
        self._registry = registry
        self._desired = desired
        self._observation = observation
        self._pass_result = pass_result
        self._retained = set(desired.references)
        self._deleted: set[Address] = set()

    async def run(self, created: frozenset[Address]) -> None:
        """Delete the orphans, or record in mode Plan that they would be deleted.

        `created` are the objects that the status recorded as created before the pass.

        Raises:
            Throttled: The rate limit is exceeded.
            Unreachable: Datadog did not answer.
        """
        registry, observation = self._registry, self._observation
        inventory = observation.inventory
        registry.update(ownership.adopt_pending(inventory, registry, self._desired.possible))
        evidence = self._desired.ownership_evidence(
            registry, inventory, created=created | ownership.created_objects(registry)
        )
        records = [registry.get(reference) for reference in self._desired.references]
        kept = {(record.kind, record.id) for record in records if record and record.id}
        kept |= {(item.kind, item.id) for item in observation.remote.values() if item is not None}
        orphans = ownership.orphans(inventory, evidence, kept)
        self._pass_result.copies += [copy.name for copy in orphans.copies]
        for orphan in orphans.removals:
            if self._desired.is_plan:
                self._retain(orphan, ObjectState.PLANNED, change="delete")
            else:
                await self._delete(orphan)
        self._delete_records(evidence.shared)
        registry.sort(self._desired.references)

    async def _delete(self, orphan: OwnedObject) -> None:
        try:
            await self._datadog.delete(orphan.kind, orphan.id)
        except (errors.DatadogForbidden, errors.Refused) as error:
            logger.warning(
                "deleting an object failed", extra={"object": orphan.name, "error": str(error)}
            )
            self._retain(orphan, ObjectState.FAILED, last_error=f"not removed: {error}")
            return
        logger.info("deleted object", extra={"object": orphan.name})
        self._deleted.add(orphan.address)
        self._pass_result.removed.append(orphan.name)

    def _retain(
        self, orphan: OwnedObject, state: ObjectState, *, change: str = "", last_error: str = ""
    ) -> None:
        """Record an orphan that still has to be deleted, unless its record belongs to a desired object."""
        reference = Reference(kind=orphan.kind, key=orphan.key)
        if reference in self._desired.references:
            return
        record = self._registry.get(reference) or ObjectRecord(
            kind=orphan.kind, key=orphan.key, state=state, id=orphan.id
        )
        self._registry.put(replace(record, state=state, change=change, last_error=last_error))
        self._retained.add(reference)

    def _delete_records(self, shared: frozenset[str]) -> None:
        """Delete the records of undesired objects. Objects that remain in Datadog are reported."""
        inventory = self._observation.inventory
        listed = ownership.listed_objects(inventory)
        for record in tuple(self._registry):
            if record.reference in self._retained or record.kind in inventory.hidden:
                continue
            is_listed = (record.kind, record.id) in listed - self._deleted
            if record.adopted and is_listed:
                left = replace(record, state=ObjectState.LEFT, change="", last_error="")
                self._registry.put(left)
                continue
            if record.id and (is_listed or record.unlisted) and record.id not in shared:
                self._pass_result.left.append(record.name)
            self._registry.delete(record.reference)

"""Pure: spec of a PurpleFleaObservability -> the desired state of Datadog for one pass."""

from dataclasses import dataclass

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions import ownership, payloads
from purpleflea_operator.controllers.observability.decisions.ownership import (
    Address,
    OwnershipEvidence,
)
from purpleflea_operator.controllers.observability.decisions.ownership_tags import MANAGED
from purpleflea_operator.controllers.observability.decisions.parameters import page_url, parameters
from purpleflea_operator.controllers.observability.decisions.payloads import DesiredObject
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRegistry
from purpleflea_operator.controllers.observability.decisions.shared_resources import SharedResources
from purpleflea_operator.datadog.client.models import Inventory, ListFilter
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """Desired objects of one resource, and its policies."""

    uid: str
    adopt_from: tuple[str, ...]
    objects: tuple[DesiredObject, ...]
    possible: tuple[DesiredObject, ...]
    """Objects of all features, including the disabled ones."""
    keeps_edits: bool
    is_plan: bool
    list_filter: ListFilter
    page_url: str
    shared: SharedResources

    @property
    def owners(self) -> tuple[str, ...]:
        """Uids whose objects belong to the resource. The first is the uid of the resource itself."""
        return (self.uid, *self.adopt_from)

    @property
    def references(self) -> tuple[Reference, ...]:
        """References of the desired objects, in the sequence of the catalog."""
        return tuple(item.definition.reference for item in self.objects)

    def ownership_evidence(
        self, registry: ObjectRegistry, inventory: Inventory, *, created: frozenset[Address]
    ) -> OwnershipEvidence:
        """Return the evidence for the objects of the resource, from the registry and the inventory."""
        ids = self._ids(registry, inventory)
        return OwnershipEvidence(
            uid=self.uid,
            created=created,
            adopted=ownership.adopted_objects(registry),
            bodies={
                item.definition.reference: item.body(ids)
                for item in self.possible
                if not item.missing(ids)
            },
            shared=self.shared.wanted,
        )

    def _ids(self, registry: ObjectRegistry, inventory: Inventory) -> dict[Reference, str]:
        """Return the ids of all possible objects: as recorded, otherwise as listed."""
        ids = {
            Reference(kind=ObjectKind.SCANNER, key="organisation"): item.id
            for item in inventory.of(ObjectKind.SCANNER)
        }
        for item in self.possible:
            reference = item.definition.reference
            record = registry.get(reference)
            remote = ownership.matching_object(item, inventory, record, self.owners)
            identifier = record.id if record is not None and record.id else remote and remote.id
            if identifier:
                ids[reference] = identifier
        return ids


def desired_state(
    spec: ObservabilitySpec, uid: str, shared: SharedResources | None = None
) -> DesiredState:
    """Return the desired state of the resource `uid`.

    Raises:
        ValueError: The spec contradicts itself. The text names the field.
    """
    chosen = parameters(spec)
    everything = catalog.everything(chosen)
    (notebook,) = (item for item in everything if item.kind is ObjectKind.NOTEBOOK)
    return DesiredState(
        uid=uid,
        # Datadog stores the uid in a tag, so in lower case.
        adopt_from=tuple(uid.lower() for uid in spec.adopt_from),
        objects=tuple(payloads.desired_object(item, uid) for item in catalog.wanted(chosen)),
        possible=tuple(payloads.desired_object(item, uid) for item in everything),
        keeps_edits=spec.drift_policy == "Keep",
        is_plan=spec.mode == "Plan",
        list_filter=ListFilter(
            tag=MANAGED,
            service=chosen.service,
            notebook=notebook.body["data"]["attributes"]["name"],
        ),
        page_url=page_url(spec),
        shared=shared or SharedResources(),
    )

"""Pure: spec of a PurpleFleaObservability -> everything that one pass wants."""

from dataclasses import dataclass

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions import ownership, payloads
from purpleflea_operator.controllers.observability.decisions.ownership import (
    Address,
    OwnershipEvidence,
)
from purpleflea_operator.controllers.observability.decisions.ownership_tags import MANAGED
from purpleflea_operator.controllers.observability.decisions.parameters import page_url, parameters
from purpleflea_operator.controllers.observability.decisions.payloads import Wanted
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRegistry
from purpleflea_operator.controllers.observability.decisions.shared_resources import SharedResources
from purpleflea_operator.datadog.client.models import Inventory, ListFilter
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """What one resource wants."""

    uid: str
    adopts: tuple[str, ...]
    wanted: tuple[Wanted, ...]
    known: tuple[Wanted, ...]
    """All that there could be, wanted or not."""
    keeps: bool
    plans: bool
    scope: ListFilter
    page_url: str
    neighbours: SharedResources

    @property
    def owners(self) -> tuple[str, ...]:
        """Uids whose objects count as ours; the first is the resource itself."""
        return (self.uid, *self.adopts)

    def proof(
        self, memory: ObjectRegistry, survey: Inventory, *, made: frozenset[Address]
    ) -> OwnershipEvidence:
        """By what objects are proven to be ours, with what is known by now."""
        found = self._ids(memory, survey)
        return OwnershipEvidence(
            uid=self.uid,
            made=made,
            adopted=ownership.adopted(memory),
            bodies={
                item.definition.reference: item.body(found)
                for item in self.known
                if not item.missing(found)
            },
            shared=self.neighbours.wanted,
        )

    def _ids(self, memory: ObjectRegistry, survey: Inventory) -> dict[Reference, str]:
        """Ids of what others refer to: as remembered, else as seen."""
        found = {
            Reference(kind=ObjectKind.SCANNER, key="organisation"): item.id
            for item in survey.of(ObjectKind.SCANNER)
        }
        for wanted in self.known:
            reference = wanted.definition.reference
            entry = memory.get(reference)
            seen = ownership.match(wanted, survey, entry, self.owners)
            identifier = entry.id if entry is not None and entry.id else seen and seen.id
            if identifier:
                found[reference] = identifier
        return found


def goal(
    spec: ObservabilitySpec, uid: str, neighbours: SharedResources | None = None
) -> DesiredState:
    """What the resource `uid` wants.

    Raises:
        ValueError: The spec contradicts itself; the text says where.
    """
    chosen = parameters(spec)
    everything = catalog.everything(chosen)
    (notebook,) = (item for item in everything if item.kind is ObjectKind.NOTEBOOK)
    return DesiredState(
        uid=uid,
        adopts=spec.adopt_from,
        wanted=tuple(payloads.wanted(item, uid) for item in catalog.wanted(chosen)),
        known=tuple(payloads.wanted(item, uid) for item in everything),
        keeps=spec.drift_policy == "Keep",
        plans=spec.mode == "Plan",
        scope=ListFilter(
            tag=MANAGED,
            service=spec.service,
            notebook=notebook.body["data"]["attributes"]["name"],
        ),
        page_url=page_url(spec),
        neighbours=neighbours or SharedResources(),
    )

"""Pure: spec of a PurpleFleaObservability -> everything that one pass wants."""

from dataclasses import dataclass

from purpleflea_operator.datadog_api.found import Scope, Survey
from purpleflea_operator.model.observability import ObservabilitySpec
from purpleflea_operator.observability import catalogue
from purpleflea_operator.observability.objects import Kind, Reference
from purpleflea_operator.sync import bodies, holdings
from purpleflea_operator.sync.bodies import Wanted
from purpleflea_operator.sync.holdings import Address, Proof
from purpleflea_operator.sync.marks import MANAGED
from purpleflea_operator.sync.memory import Memory
from purpleflea_operator.sync.neighbours import Neighbours
from purpleflea_operator.sync.parameters import page_url, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one resource wants."""

    uid: str
    adopts: tuple[str, ...]
    wanted: tuple[Wanted, ...]
    known: tuple[Wanted, ...]
    """All that there could be, wanted or not."""
    keeps: bool
    plans: bool
    scope: Scope
    page_url: str
    neighbours: Neighbours

    @property
    def owners(self) -> tuple[str, ...]:
        """Uids whose objects count as ours; the first is the resource itself."""
        return (self.uid, *self.adopts)

    def proof(self, memory: Memory, survey: Survey, *, made: frozenset[Address]) -> Proof:
        """By what objects are proven to be ours, with what is known by now."""
        found = self._ids(memory, survey)
        return Proof(
            uid=self.uid,
            made=made,
            adopted=holdings.adopted(memory),
            bodies={
                item.definition.reference: item.body(found)
                for item in self.known
                if not item.missing(found)
            },
            shared=self.neighbours.wanted,
        )

    def _ids(self, memory: Memory, survey: Survey) -> dict[Reference, str]:
        """Ids of what others refer to: as remembered, else as seen."""
        found = {
            Reference(kind=Kind.SCANNER, key="organisation"): item.id
            for item in survey.of(Kind.SCANNER)
        }
        for wanted in self.known:
            reference = wanted.definition.reference
            entry = memory.get(reference)
            seen = holdings.match(wanted, survey, entry, self.owners)
            identifier = entry.id if entry is not None and entry.id else seen and seen.id
            if identifier:
                found[reference] = identifier
        return found


def goal(spec: ObservabilitySpec, uid: str, neighbours: Neighbours | None = None) -> Goal:
    """What the resource `uid` wants.

    Raises:
        ValueError: The spec contradicts itself; the text says where.
    """
    chosen = parameters(spec)
    everything = catalogue.everything(chosen)
    (notebook,) = (item for item in everything if item.kind is Kind.NOTEBOOK)
    return Goal(
        uid=uid,
        adopts=spec.adopt_from,
        wanted=tuple(bodies.wanted(item, uid) for item in catalogue.wanted(chosen)),
        known=tuple(bodies.wanted(item, uid) for item in everything),
        keeps=spec.drift_policy == "Keep",
        plans=spec.mode == "Plan",
        scope=Scope(
            tag=MANAGED,
            service=spec.service,
            notebook=notebook.body["data"]["attributes"]["name"],
        ),
        page_url=page_url(spec),
        neighbours=neighbours or Neighbours(),
    )

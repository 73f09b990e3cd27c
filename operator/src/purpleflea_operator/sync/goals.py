"""Pure: spec of a PurpleFleaObservability -> everything that one pass wants."""

from dataclasses import dataclass

from purpleflea_operator.datadog_api.found import Scope
from purpleflea_operator.model.observability import ObservabilitySpec
from purpleflea_operator.observability import catalogue
from purpleflea_operator.observability.objects import Kind
from purpleflea_operator.sync import bodies
from purpleflea_operator.sync.bodies import Wanted
from purpleflea_operator.sync.marks import MANAGED
from purpleflea_operator.sync.parameters import page_url, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one resource wants."""

    uid: str
    adopts: tuple[str, ...]
    wanted: tuple[Wanted, ...]
    keeps: bool
    plans: bool
    scope: Scope
    page_url: str

    @property
    def owners(self) -> tuple[str, ...]:
        """Uids whose objects count as ours; the first is the resource itself."""
        return (self.uid, *self.adopts)


def goal(spec: ObservabilitySpec, uid: str) -> Goal:
    """What the resource `uid` wants.

    Raises:
        ValueError: The spec contradicts itself; the text says where.
    """
    chosen = parameters(spec)
    (notebook,) = (item for item in catalogue.everything(chosen) if item.kind is Kind.NOTEBOOK)
    return Goal(
        uid=uid,
        adopts=spec.adopt_from,
        wanted=tuple(bodies.wanted(item, uid) for item in catalogue.wanted(chosen)),
        keeps=spec.drift_policy == "Keep",
        plans=spec.mode == "Plan",
        scope=Scope(
            tag=MANAGED,
            service=spec.service,
            notebook=notebook.body["data"]["attributes"]["name"],
        ),
        page_url=page_url(spec),
    )

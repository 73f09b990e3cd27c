"""Pure: what other resources of the cluster want of the same Datadog, for objects that cannot say whose they are.

There is one configuration per metric and organisation, and it carries no mark: who made it and who wants it stands in
the resources alone. The last resource that wants it removes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions.parameters import address, parameters
from purpleflea_operator.controllers.observability.decisions.registry import remembered
from purpleflea_operator.datadog.definitions.metric_tags import definitions
from purpleflea_operator.datadog.definitions.objects import ObjectKind

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedResources:
    """Metrics whose configuration other resources want, and those that one of them made."""

    wanted: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()


def neighbours(others: Iterable[Resource], spec: ObservabilitySpec) -> SharedResources:
    """What the others want where `spec` wants it. Keys are not compared: too much is kept rather than too little."""
    wanted: set[str] = set()
    made: set[str] = set()
    for other in others:
        theirs = _spec(other)
        if theirs is None or address(theirs) != address(spec):
            continue
        made |= _made(other)
        is_going = "deletionTimestamp" in other["metadata"]
        if theirs.features.metrics and theirs.mode == "Manage" and not is_going:
            wanted |= {item.key for item in definitions(parameters(theirs))}
    return SharedResources(wanted=frozenset(wanted), made=frozenset(made))


def _spec(resource: Resource) -> ObservabilitySpec | None:
    try:
        return ObservabilitySpec.model_validate(resource["spec"])
    except ValueError:
        return None


def _made(resource: Resource) -> set[str]:
    """What it made, or is making: an id is written down only after the answer."""
    return {
        entry.key
        for entry in remembered(resource.get("status") or {})
        if entry.kind is ObjectKind.METRIC_TAGS
        and not entry.adopted
        and (entry.id or entry.state is State.CREATING)
    }

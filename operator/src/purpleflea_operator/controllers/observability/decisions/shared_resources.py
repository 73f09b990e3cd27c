"""Pure: metric configurations that other resources of the cluster use in the same organization.

There is one configuration per metric and organization, and it has no ownership tags. Therefore the status of the
resources shows which of them created it and which use it. The last resource that uses it removes it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions.parameters import address, parameters
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    registry_from_status,
)
from purpleflea_operator.datadog.definitions.metric_tags import definitions
from purpleflea_operator.datadog.definitions.objects import ObjectKind

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedResources:
    """Metrics whose configuration other resources use, and metrics whose configuration one of them created."""

    wanted: frozenset[str] = frozenset()
    created: frozenset[str] = frozenset()


def shared_resources(others: Iterable[Resource], spec: ObservabilitySpec) -> SharedResources:
    """Return the metric configurations that the other resources use at the address of `spec`.

    The keys are not compared, because it is safer to keep too many configurations than too few.
    """
    wanted: set[str] = set()
    created: set[str] = set()
    for other in others:
        other_spec = _spec(other)
        is_deleting = "deletionTimestamp" in other["metadata"]
        if other_spec is None:
            # A spec that an earlier release accepted. Its configurations stay until it is corrected or deleted.
            created |= _created(other)
            wanted |= set() if is_deleting else _recorded(other)
            continue
        if address(other_spec) != address(spec):
            continue
        created |= _created(other)
        if other_spec.features.metrics and other_spec.mode == "Manage" and not is_deleting:
            wanted |= {item.key for item in definitions(parameters(other_spec))}
    return SharedResources(wanted=frozenset(wanted), created=frozenset(created))


def living_owners(others: Iterable[Resource], spec: ObservabilitySpec) -> Mapping[str, str]:
    """Return the resources of spec.adoptFrom that exist: uid -> namespace/name.

    A resource owns its objects until it is gone, also while a finalizer keeps it.
    """
    return {
        item["metadata"]["uid"]: f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in others
        if item["metadata"]["uid"] in spec.adopt_from
    }


def _spec(resource: Resource) -> ObservabilitySpec | None:
    try:
        return ObservabilitySpec.model_validate(resource["spec"])
    except ValueError:
        return None


def _created(resource: Resource) -> set[str]:
    """Return the configurations that it created or is creating. The id is stored only after the response."""
    return {
        record.key
        for record in _records(resource)
        if not record.adopted and (record.id or record.state is ObjectState.CREATING)
    }


def _recorded(resource: Resource) -> set[str]:
    """Return the configurations that its status names."""
    return {record.key for record in _records(resource) if record.id}


def _records(resource: Resource) -> Iterator[ObjectRecord]:
    for record in registry_from_status(resource.get("status") or {}):
        if record.kind is ObjectKind.METRIC_TAGS:
            yield record

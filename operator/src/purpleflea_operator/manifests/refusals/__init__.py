"""Refuse specs whose children the API server or the kubelet would refuse later, with the field and the remedy.

Without these checks, such a spec ends in a rejected StatefulSet, or in pods that never start. The rules are those of
Kubernetes (pkg/apis/core/validation) for the fields that the operator passes on. The CRD checks most fields earlier.
The checks here are complete, because the CRD omits inner fields and a structural schema cannot restrict keys of maps.
"""

from collections.abc import Callable, Iterator

from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals import (
    containers,
    endpoints,
    environment,
    names,
    network,
    scheduling,
    volumes,
)
from purpleflea_operator.manifests.refusals.refusal import Refusal

CHECKS: tuple[Callable[[Agent], Iterator[Refusal]], ...] = (
    names.refusals,
    volumes.refusals,
    environment.refusals,
    containers.refusals,
    scheduling.refusals,
    network.refusals,
    endpoints.refusals,
)


def first_refusal(agent: Agent) -> str:
    """Return the field and the reason of the first value that would be refused; empty if there is none."""
    found = next((item for check in CHECKS for item in check(agent)), None)
    return "" if found is None else f"{found.field}: {found.reason}"

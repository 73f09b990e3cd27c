"""The proof that no container of an agent has ever run, although the operator did not observe it all the time. Pure.

An agent that ran can hold positions, so it must keep its identity. While no operator ran, or a watch was interrupted,
an agent can have run and ended. The status shows the last moment at which it had not run. If the pods
or volume claims of this moment still exist and were never used, no other pod can have run in between.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.observed_state import has_run
from purpleflea_operator.manifests import volumes
from purpleflea_operator.parsing import Manifest, mapping, mappings, text, timestamp

_CLAIM = f"{volumes.STATE}-"


def never_started(
    resource: Manifest, pods: Iterable[Manifest], workloads: Iterable[Manifest]
) -> bool:
    """Return whether no container of an agent has ever run, as far as its objects show.

    The status records it for agents that did not start before their first status. An agent without the record, such as
    one of an earlier version of the operator, counts as one that ran. The watch of the pods can be behind, so ready
    pods of a StatefulSet count, too.
    """
    known = mapping(resource.get("status"))
    is_recorded = known.get("neverStarted") is True or "observedGeneration" not in known
    has_ready = any(map(was_ready, (resource, *workloads)))
    return is_recorded and not has_ready and not any(has_run(item) for item in pods)


def was_ready(manifest: Manifest) -> bool:
    """Return whether the status of a StatefulSet or of an agent has a ready pod."""
    return bool(mapping(manifest.get("status")).get("readyReplicas"))


def is_proven(
    resource: Manifest,
    workloads: Sequence[Manifest],
    pods: Sequence[Manifest],
    claims: Sequence[Manifest],
) -> bool:
    """Return whether the objects of an agent prove that it did not run while it was not observed.

    `pods` have not run. A claim that is not bound was used by no pod. If the claim of a pod is bound and the pod is
    gone, the pod can have run, also if the StatefulSet does not request it any more.
    """
    known_at = _known_at(resource, workloads)
    names = {name for workload in workloads for name in _pod_names(workload)}
    return all(
        any(_is_unused(item, known_at) for item in (*_of(pods, name), *_unbound(claims, name)))
        for name in names | _pods_of_claims(claims)
    )


def _known_at(resource: Manifest, workloads: Sequence[Manifest]) -> datetime | None:
    """Return the last time at which the agent is known not to have run."""
    conditions = mappings(mapping(resource.get("status")).get("conditions"))
    times = [timestamp(item.get("lastTransitionTime")) for item in conditions]
    created = [timestamp(item["metadata"].get("creationTimestamp")) for item in workloads]
    times += [item + timings.CREATION_SPREAD for item in created if item is not None]
    return max((item for item in times if item is not None), default=None)


def _pods_of_claims(claims: Iterable[Manifest]) -> set[str]:
    """Return the names of the pods whose journals the claims are for."""
    names = (text(item["metadata"].get("name")) for item in claims)
    return {name.removeprefix(_CLAIM) for name in names if name.startswith(_CLAIM)}


def _is_unused(manifest: Manifest, known_at: datetime | None) -> bool:
    created = timestamp(manifest["metadata"].get("creationTimestamp"))
    return known_at is not None and created is not None and created <= known_at


def _pod_names(workload: Manifest) -> list[str]:
    count = mapping(workload.get("spec")).get("replicas", 1)
    return [f"{workload['metadata']['name']}-{number}" for number in range(count)]


def _of(pods: Iterable[Manifest], name: str) -> Iterable[Manifest]:
    return (item for item in pods if item["metadata"]["name"] == name)


def _unbound(claims: Iterable[Manifest], pod: str) -> Iterable[Manifest]:
    name = _CLAIM + pod
    found = (item for item in claims if item["metadata"]["name"] == name)
    return (item for item in found if mapping(item.get("status")).get("phase") == "Pending")

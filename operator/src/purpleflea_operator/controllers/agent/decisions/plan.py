"""The plan of one pass: the writes that turn the observed children into the desired ones, in sequence. Pure.

Planning again after the writes returns no action, because an apply without a change costs the API server as much as a
create.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.drift import child_difference
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    AgentPod,
    ChildId,
    ObservedState,
)
from purpleflea_operator.controllers.agent.decisions.old_pods import is_used
from purpleflea_operator.controllers.agent.decisions.storage import (
    VolumeClaim,
    claims_to_expand,
    requires_recreate,
    with_live_templates,
)
from purpleflea_operator.controllers.agent.decisions.trading_mode import (
    controlled,
    desired_control,
    had_different_mode,
    is_halted,
    is_nudged,
    live_replicas,
    next_nudge,
    nudge,
)
from purpleflea_operator.manifests import config_map
from purpleflea_operator.manifests.metadata import with_desired_hash
from purpleflea_operator.parsing import Manifest, timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create a child that the cache does not have."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Apply the desired state of a child."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete a child that is not desired any more."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class RecreateOrphaning:
    """Delete a child with its pods orphaned. A later pass, after the deletion, creates it with the desired state."""

    manifest: Manifest
    """The live child."""
    wanted: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayRecreation:
    """Recreate a child later, because it was recreated a short time ago."""

    manifest: Manifest
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandVolume:
    """Request a larger size for a volume claim."""

    claim: VolumeClaim
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod:
    """Delete a pod that its StatefulSet cannot replace."""

    pod: AgentPod


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshConfigMount:
    """Annotate a pod, so that its kubelet refreshes the mounted control file within a second."""

    pod: AgentPod
    nudge: str
    """Value of the annotation: the mode, and the number of attempts if the nudge is repeated."""


Action = (
    Create
    | Apply
    | RecreateOrphaning
    | DelayRecreation
    | Delete
    | ExpandVolume
    | DeletePod
    | RefreshConfigMount
)


def target(action: Action) -> str:
    """Return kind and name of the object that an action writes."""
    match action:
        case RefreshConfigMount():
            return "ConfigMap"
        case DeletePod(pod=pod):
            return f"Pod {pod.name}"
        case ExpandVolume(claim=claim):
            return f"PersistentVolumeClaim {claim.name}"
        case _:
            return " ".join(child_id(action.manifest))


def wanted(action: Action) -> str:
    """Return a text that differs if an action on the same object is another one."""
    match action:
        case Create(manifest=manifest) | Apply(manifest=manifest):
            return str(manifest["metadata"]["annotations"][kubernetes.ANNOTATION_DESIRED_HASH])
        case ExpandVolume(size=size):
            return size
        case DeletePod(pod=pod):
            return f"delete {pod.uid}"
        case RefreshConfigMount(nudge=value):
            return value
        case _:
            return f"delete {action.manifest['metadata']['uid']}"


def child_id(manifest: Mapping[str, Any]) -> ChildId:
    """Return kind and name of a child."""
    return manifest["kind"], manifest["metadata"]["name"]


def is_as_desired(desired: Manifest, live: Manifest) -> bool:
    """Return whether the live child needs no write."""
    return child_difference(desired, live) is None


def actions(desired: Sequence[Manifest], observed: ObservedState) -> tuple[Action, ...]:
    """Return the writes that turn the observed children into the desired ones."""
    planned: list[Action] = []
    for manifest in desired:
        live = observed.children.get(child_id(manifest))
        if live is None:
            planned.append(Create(manifest=manifest))
        elif "deletionTimestamp" in live["metadata"]:
            continue  # The DELETED event starts the pass that creates it again.
        elif requires_recreate(manifest, live):
            planned += _recreation(manifest, live, observed)
        elif not is_as_desired(manifest, live):
            planned.append(Apply(manifest=manifest))
    # The request to halt comes first, so that no failed write can precede it.
    control = [item for item in planned if _is_control(item)]
    rest = [item for item in planned if not _is_control(item)]
    before, after = _deletions(desired, observed)
    return (
        *control,
        *nudges(observed),
        *before,
        *rest,
        *after,
        *_pod_deletions(observed),
        *_expansions(observed),
    )


def _recreation(desired: Manifest, live: Manifest, observed: ObservedState) -> list[Action]:
    """Return the recreation of a StatefulSet; if it was recreated a short time ago, the part that needs none."""
    wait_s = recreation_wait_s(live, observed)
    if not wait_s:
        return [RecreateOrphaning(manifest=live, wanted=desired)]
    planned: list[Action] = [DelayRecreation(manifest=live, wait_s=wait_s)]
    updated = with_live_templates(desired, live)
    if updated is not None and not is_as_desired(updated, live):
        planned.append(Apply(manifest=updated))
    return planned


def recreation_wait_s(live: Manifest, observed: ObservedState) -> float:
    """Return the seconds until a StatefulSet may be recreated; 0 if it may be now.

    A StatefulSet that is younger than the ConfigMap of its agent was recreated, so the limit survives a restart of the
    operator.
    """
    if observed.now is None:
        return 0.0
    times = [] if observed.recreated_at is None else [observed.recreated_at]
    created = timestamp(live["metadata"].get("creationTimestamp"))
    first = min(
        (
            found
            for (kind, _), item in observed.children.items()
            if kind == "ConfigMap"
            and (found := timestamp(item["metadata"].get("creationTimestamp")))
        ),
        default=None,
    )
    if created and first and created - first > timings.CREATION_SPREAD:
        times.append(created)
    if not times:
        return 0.0
    left = max(times) + timings.RECREATION_INTERVAL - observed.now
    return max(0.0, min(left, timings.RECREATION_INTERVAL).total_seconds())


def _deletions(
    desired: Sequence[Manifest], observed: ObservedState
) -> tuple[list[Delete], list[Delete]]:
    """Return the deletions before the writes, and those after them.

    Most obsolete children are deleted first, because a StatefulSet can be rejected. A ServiceAccount is deleted last,
    when no workload references it any more, because pods could not be recreated without it.
    """
    wanted = {child_id(manifest) for manifest in desired}
    obsolete = [
        Delete(manifest=live) for key, live in observed.children.items() if key not in wanted
    ]
    accounts = [item for item in obsolete if item.manifest["kind"] == "ServiceAccount"]
    # Pods of an earlier revision need their account until the last one is gone.
    unused = [
        item for item in accounts if not is_used(item.manifest["metadata"]["name"], observed.pods)
    ]
    return [item for item in obsolete if item not in accounts], unused


def halt_actions(observed: ObservedState) -> tuple[Action, ...]:
    """Return the writes for a request to stop if the rest of the spec is invalid: the control file, and nudges."""
    control = desired_control(observed)
    if control is None:
        return ()
    missing = missing_config_map(observed)
    wanted = [
        config_map.with_control(dict(item), control, halted=is_halted(observed))
        for (kind, _), item in observed.children.items()
        if kind == "ConfigMap"
    ]
    written = [
        Apply(manifest=item)
        for item in wanted
        if not is_as_desired(item, observed.children[child_id(item)])
    ]
    return (*missing, *written, *nudges(observed))


def invalid_actions(observed: ObservedState) -> tuple[Action, ...]:
    """Return the writes if the spec is invalid: those of a request to stop, and the end of pods that must not start.

    Pods that never ran would start beside the agent that holds their identities.
    """
    workload = observed.stateful_set
    is_refused = bool(observed.conflicting_agent) and observed.never_started
    if workload is None or not is_refused or "deletionTimestamp" in workload["metadata"]:
        return halt_actions(observed)
    return (*halt_actions(observed), Delete(manifest=workload))


def missing_config_map(observed: ObservedState) -> tuple[Create, ...]:
    """Return the creation of the ConfigMap if it does not exist, although agents may run that must not trade.

    A watch that is behind has not reported the pods of the StatefulSet. Pods keep the file of a ConfigMap that is
    deleted. An invalid spec cannot be rendered.
    """
    control = desired_control(observed)
    has_one = any(kind == "ConfigMap" for kind, _ in observed.children)
    has_pods = any(not pod.deleting for pod in observed.pods) or live_replicas(observed) > 0
    if control is None or control.mode is Mode.ACTIVE or has_one or not has_pods:
        return ()
    agent = observed.agent
    manifest = (
        config_map.minimal(observed.metadata, control, halted=is_halted(observed))
        if agent is None
        else config_map.config_map(controlled(observed, agent))
    )
    return (Create(manifest=with_desired_hash(manifest)),)


def _is_control(action: Action) -> bool:
    return isinstance(action, Create | Apply) and action.manifest["kind"] == "ConfigMap"


def _pod_deletions(observed: ObservedState) -> list[DeletePod]:
    """Return the deletion of one pod that was created before the agent had storage.

    The StatefulSet controller fails to add a claim to such pods, lowest ordinal first, and replaces no pod meanwhile.
    """
    stateful_set = observed.stateful_set
    if stateful_set is None or not stateful_set["spec"].get("volumeClaimTemplates"):
        return []
    old = [pod for pod in observed.pods if pod.has_ephemeral_journal]
    is_settled = all(pod.ready and not pod.deleting for pod in observed.pods if pod not in old)
    if not old or not is_settled or any(pod.deleting for pod in old):
        return []
    return [DeletePod(pod=min(old, key=lambda pod: (len(pod.name), pod.name)))]


def _expansions(observed: ObservedState) -> list[ExpandVolume]:
    storage = None if observed.agent is None else observed.agent.storage
    if storage is None or observed.expansion_error:
        return []
    return [
        ExpandVolume(claim=item, size=storage.size)
        for item in claims_to_expand(observed.claims, storage.size)
    ]


def nudges(observed: ObservedState) -> list[RefreshConfigMount]:
    """Return a nudge for each pod that may not have read the desired mode.

    The kubelet can process a nudge before it receives the ConfigMap. Therefore a pod that still reports another mode is
    nudged again, once per request. A pod that was nudged before the ConfigMap got the file is nudged again, too.
    """
    control, stale = desired_control(observed), observed.trading.stale_pods
    if control is None:
        return []
    outdated = observed.trading.outdated_pods
    refreshes = []
    for pod in observed.pods:
        is_outdated = pod.uid in outdated
        value = nudge(control, stale.get(pod.uid))
        if is_outdated:
            value = next_nudge(pod.last_nudge, control)
        is_sent = (
            pod.last_nudge == value if pod.uid in stale else is_nudged(pod.last_nudge, control)
        )
        started_with_it = control.mode is Mode.ACTIVE and not had_different_mode(observed, pod)
        is_due = is_outdated or not (is_sent or started_with_it)
        if is_due and not pod.deleting:
            refreshes.append(RefreshConfigMount(pod=pod, nudge=value))
    return refreshes


def without_repeats(actions: Iterable[Action]) -> Iterator[Action]:
    """Yield the actions, and only the first nudge, because the control lane sends all of them."""
    is_nudged = False
    for action in actions:
        is_nudge = isinstance(action, RefreshConfigMount)
        if not (is_nudge and is_nudged):
            yield action
        is_nudged = is_nudged or is_nudge

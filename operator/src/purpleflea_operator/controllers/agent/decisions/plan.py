"""Desired children and the world -> the writes that are needed, in order. Pure.

Planning again after the writes yields nothing: an apply that changes nothing costs the API server as much as a
create.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions.drift import is_subset
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ChildId,
    ObservedState,
    Pod,
)
from purpleflea_operator.controllers.agent.decisions.storage import (
    VolumeClaim,
    claims_to_expand,
    requires_recreate,
)
from purpleflea_operator.controllers.agent.decisions.trading_mode import mode_of, was_told_otherwise
from purpleflea_operator.manifests.config_map import with_mode
from purpleflea_operator.parsing import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make a child that is not known to exist."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Make a child what it should be."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a child that is no longer wanted."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class RecreateOrphaning:
    """Remove a child but leave its pods running: the next pass, after it is gone, makes it as it should be."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandVolume:
    """Ask for a larger volume."""

    claim: VolumeClaim
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod:
    """DeletePod a pod that its StatefulSet cannot replace itself."""

    pod: Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshConfigMount:
    """Touch a pod so that its kubelet refreshes the mounted control file within a second."""

    pod: Pod
    word: str
    """The mode; with a number where it is not the first time."""


Action = Create | Apply | RecreateOrphaning | Delete | ExpandVolume | DeletePod | RefreshConfigMount


def child_id(manifest: Mapping[str, Any]) -> ChildId:
    """Kind and name of a child."""
    return manifest["kind"], manifest["metadata"]["name"]


def is_as_desired(desired: Manifest, live: Manifest) -> bool:
    """Whether the live child needs no write: nothing to change, nothing to remove."""
    key = kubernetes.ANNOTATION_DESIRED_HASH
    wanted = desired["metadata"]["annotations"][key]
    if desired["kind"] == "NetworkPolicy" and desired["spec"] != live.get("spec"):
        # A rule, a peer or a port more lets more through; the API server adds nothing of its own.
        return False
    return live["metadata"].get("annotations", {}).get(key) == wanted and is_subset(desired, live)


def actions(desired: Sequence[Manifest], world: ObservedState) -> tuple[Action, ...]:
    """The writes that turn the world into the desired one."""
    planned: list[Action] = []
    for manifest in desired:
        live = world.children.get(child_id(manifest))
        if live is None:
            planned.append(Create(manifest=manifest))
        elif "deletionTimestamp" in live["metadata"]:
            continue  # Its end is an event, and then it is made anew.
        elif requires_recreate(manifest, live):
            planned.append(RecreateOrphaning(manifest=live))
        elif not is_as_desired(manifest, live):
            planned.append(Apply(manifest=manifest))
    # An order to halt is through before anything else can fail.
    first = [item for item in planned if _is_control(item)]
    rest = [item for item in planned if not _is_control(item)]
    before, after = _deletions(desired, world)
    return (*first, *_nudges(world), *before, *rest, *after, *_ends(world), *_growths(world))


def _deletions(
    desired: Sequence[Manifest], world: ObservedState
) -> tuple[list[Delete], list[Delete]]:
    """What is not wanted any more: what goes first, though a workload be refused, and what goes after it.

    A ServiceAccount goes only once no workload names it: no pod could be made again.
    """
    wanted = {child_id(manifest) for manifest in desired}
    gone = [Delete(manifest=live) for key, live in world.children.items() if key not in wanted]
    named = [item for item in gone if item.manifest["kind"] == "ServiceAccount"]
    return [item for item in gone if item not in named], named


def halt_actions(world: ObservedState) -> tuple[Action, ...]:
    """What an order to stop takes where the rest of the spec is invalid: the control file, and nudges."""
    order = world.stop_order
    if order is None:
        return ()
    wanted = [
        with_mode(dict(item), order)
        for (kind, _), item in world.children.items()
        if kind == "ConfigMap"
    ]
    written = [
        Apply(manifest=item)
        for item in wanted
        if not is_as_desired(item, world.children[child_id(item)])
    ]
    return (*written, *_nudges(world))


def _is_control(action: Action) -> bool:
    return isinstance(action, Create | Apply) and action.manifest["kind"] == "ConfigMap"


def _ends(world: ObservedState) -> list[DeletePod]:
    """Pods from before spec.storage was added, one at a time.

    The StatefulSet controller tries in vain to give them a claim, lowest ordinal first, and replaces none meanwhile.
    """
    stateful_set = world.stateful_set
    if stateful_set is None or not stateful_set["spec"].get("volumeClaimTemplates"):
        return []
    old = [pod for pod in world.pods if pod.has_passing_journal]
    is_settled = all(pod.ready and not pod.deleting for pod in world.pods if pod not in old)
    if not old or not is_settled or any(pod.deleting for pod in old):
        return []
    return [DeletePod(pod=min(old, key=lambda pod: (len(pod.name), pod.name)))]


def _growths(world: ObservedState) -> list[ExpandVolume]:
    storage = None if world.agent is None else world.agent.spec.storage
    if storage is None or world.growth_refused:
        return []
    return [
        ExpandVolume(claim=item, size=storage.size)
        for item in claims_to_expand(world.claims, storage.size)
    ]


def _nudges(world: ObservedState) -> list[RefreshConfigMount]:
    """The pods that are not known to have the mode that is wanted.

    The kubelet may take a nudge before it hears of the ConfigMap: who still speaks of another mode is nudged again.
    """
    mode, deaf = mode_of(world), world.trading.deaf
    if mode is None:
        return []
    found = []
    for pod in world.pods:
        word = f"{mode}.{deaf[pod.uid]}" if pod.uid in deaf else str(mode)
        has_it = pod.told == word if pod.uid in deaf else (pod.told or "").split(".")[0] == mode
        started_with_it = mode is Mode.ACTIVE and not was_told_otherwise(world, pod)
        if not pod.deleting and not has_it and not started_with_it:
            found.append(RefreshConfigMount(pod=pod, word=word))
    return found

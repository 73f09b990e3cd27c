"""Decisions about volume claims. Pure.

The claim templates of a StatefulSet are immutable, and the claims can only grow. This module decides if the StatefulSet
must be recreated around its running pods, and which claims to expand. The messages for users are in
`conditions.storage_ready`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from purpleflea_operator.controllers.agent.decisions.quantity import is_less, same_quantity
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest, mapping, mappings, text, timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeClaim:
    """The volume claim of one identity."""

    name: str
    uid: str
    requested: str
    storage_class: str
    capacity: str = ""
    """Size of the volume; empty if there is no volume yet."""
    volume: str = ""
    """Name of the volume; empty if there is none yet."""
    phase: str = ""
    """Pending, Bound or Lost; empty if no controller has processed the claim yet."""
    created: datetime | None = None


def with_live_journals(
    agent: Agent, stateful_set: Manifest | None, *, has_ephemeral_pods: bool
) -> Agent:
    """Return the agent with the kind of journals that it has, if that differs from the kind of a new agent.

    `stateful_set` is the live one, or the one that is being recreated. Without one, the pods that it left decide.
    """
    storage = agent.spec.storage
    if storage is not None and not storage.ephemeral:
        return agent
    if stateful_set is None:
        is_ephemeral = has_ephemeral_pods
        has_volumes = False
    else:
        has_volumes = bool(_templates(stateful_set))
        is_ephemeral = not has_volumes
    if storage is None and is_ephemeral:
        return replace(agent, has_ephemeral_pods=True)
    if storage is not None and has_volumes:
        return replace(agent, has_volumes=True)
    return agent


def lacks_class(item: VolumeClaim) -> bool:
    """Return whether no volume can be provisioned, because the claim has no class and the cluster has no default one.

    The API server sets the default class when a claim is created, and also later if one is added.
    """
    return not item.storage_class and not item.volume and not item.capacity


def is_pending(item: VolumeClaim) -> bool:
    """Return whether the claim has no volume yet."""
    return item.phase == "Pending"


def is_lost(item: VolumeClaim) -> bool:
    """Return whether the volume of the claim was deleted."""
    return item.phase == "Lost"


def claim(manifest: Mapping[str, Any]) -> VolumeClaim:
    """Return the claim that `manifest` describes."""
    spec = manifest.get("spec", {})
    return VolumeClaim(
        name=manifest["metadata"]["name"],
        uid=manifest["metadata"]["uid"],
        requested=str(spec.get("resources", {}).get("requests", {}).get("storage", "0")),
        storage_class=spec.get("storageClassName", ""),
        capacity=str(manifest.get("status", {}).get("capacity", {}).get("storage", "")),
        volume=text(spec.get("volumeName")),
        phase=text(mapping(manifest.get("status")).get("phase")),
        created=timestamp(manifest["metadata"].get("creationTimestamp")),
    )


def requires_recreate(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Return whether `desired` is a StatefulSet with other claim templates than the live one, which are immutable."""
    if desired["kind"] != "StatefulSet":
        return False
    wanted, stored = _templates(desired), _templates(live)
    return len(wanted) != len(stored) or not all(map(_is_same_template, wanted, stored))


def with_live_templates(desired: Manifest, live: Manifest) -> dict[str, Any] | None:
    """Return the desired StatefulSet with the claim templates of the live one; None if these are other volumes."""
    wanted, stored = _templates(desired), _templates(live)
    if [_name(item) for item in wanted] != [_name(item) for item in stored]:
        return None
    templates = live["spec"]["volumeClaimTemplates"]
    return {**desired, "spec": {**desired["spec"], "volumeClaimTemplates": templates}}


def claims_to_expand(claims: Iterable[VolumeClaim], size: str) -> list[VolumeClaim]:
    """Return the claims that request less than `size`."""
    return [item for item in claims if is_less(item.requested, size)]


def too_large(claims: Iterable[VolumeClaim], size: str) -> list[VolumeClaim]:
    """Return the claims that request more than `size`, because volumes do not shrink."""
    return [item for item in claims if is_less(size, item.requested)]


def is_expanding(item: VolumeClaim) -> bool:
    """Return whether the volume is still smaller than its claim requests."""
    return bool(item.capacity) and is_less(item.capacity, item.requested)


def _templates(stateful_set: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    templates = mappings(stateful_set["spec"].get("volumeClaimTemplates"))
    return sorted(templates, key=_name)


def _name(template: Mapping[str, Any]) -> str:
    return text(mapping(template.get("metadata")).get("name"))


def _is_same_template(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    one, other = mapping(desired.get("spec")), mapping(live.get("spec"))
    return (
        _name(desired) == _name(live)
        and same_quantity(_size(one), _size(other))
        and (one.get("storageClassName") or None) == (other.get("storageClassName") or None)
        and one.get("accessModes") == other.get("accessModes")
    )


def _size(spec: Mapping[str, Any]) -> Any:
    return mapping(mapping(spec.get("resources")).get("requests")).get("storage")

"""Decisions about volume claims. Pure.

The claim templates of a StatefulSet are immutable, and the claims can only grow. This module decides if the StatefulSet
must be recreated around its running pods, and which claims to expand. The messages for users are in
`conditions.storage_ready`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from purpleflea_operator.controllers.agent.decisions.drift import quantity

Template = tuple[str, Decimal | str, str | None, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeClaim:
    """The volume claim of one identity."""

    name: str
    uid: str
    requested: str
    storage_class: str
    capacity: str = ""
    """Size of the volume; empty if there is no volume yet."""


def claim(manifest: Mapping[str, Any]) -> VolumeClaim:
    """Return the claim that `manifest` describes."""
    spec = manifest.get("spec", {})
    return VolumeClaim(
        name=manifest["metadata"]["name"],
        uid=manifest["metadata"]["uid"],
        requested=str(spec.get("resources", {}).get("requests", {}).get("storage", "0")),
        storage_class=spec.get("storageClassName", ""),
        capacity=str(manifest.get("status", {}).get("capacity", {}).get("storage", "")),
    )


def requires_recreate(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Return whether `desired` is a StatefulSet with other claim templates than the live one, which are immutable."""
    return desired["kind"] == "StatefulSet" and _templates(desired) != _templates(live)


def claims_to_expand(claims: Iterable[VolumeClaim], size: str) -> list[VolumeClaim]:
    """Return the claims that request less than `size`."""
    return [item for item in claims if _less(item.requested, size)]


def too_large(claims: Iterable[VolumeClaim], size: str) -> list[VolumeClaim]:
    """Return the claims that request more than `size`, because volumes do not shrink."""
    return [item for item in claims if _less(size, item.requested)]


def is_expanding(item: VolumeClaim) -> bool:
    """Return whether the volume is still smaller than its claim requests."""
    return bool(item.capacity) and _less(item.capacity, item.requested)


def _less(one: str, other: str) -> bool:
    left, right = quantity(one), quantity(other)
    return isinstance(left, Decimal) and isinstance(right, Decimal) and left < right


def _templates(stateful_set: Mapping[str, Any]) -> Sequence[Template]:
    templates: list[Template] = []
    for item in stateful_set["spec"].get("volumeClaimTemplates", ()):
        spec = item["spec"]
        templates.append(
            (
                item["metadata"]["name"],
                quantity(spec["resources"]["requests"]["storage"]),
                spec.get("storageClassName"),
                tuple(spec["accessModes"]),
            )
        )
    return sorted(templates, key=lambda template: template[0])

"""Volume claims: a StatefulSet's claim templates cannot be changed, the claims themselves can only grow. Pure.

Says when the StatefulSet must be made anew around its running pods, and which claims to grow. The words for people are
in checks.storage.
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
    """Size of the volume; empty while there is none."""


def claim(manifest: Mapping[str, Any]) -> VolumeClaim:
    """The claim that `manifest` describes."""
    spec = manifest.get("spec", {})
    return VolumeClaim(
        name=manifest["metadata"]["name"],
        uid=manifest["metadata"]["uid"],
        requested=str(spec.get("resources", {}).get("requests", {}).get("storage", "0")),
        storage_class=spec.get("storageClassName", ""),
        capacity=str(manifest.get("status", {}).get("capacity", {}).get("storage", "")),
    )


def requires_recreate(desired: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether `desired` is a StatefulSet with other claim templates than the live one, which no update can change."""
    return desired["kind"] == "StatefulSet" and _templates(desired) != _templates(live)


def claims_to_expand(claims: Iterable[VolumeClaim], size: str) -> list[VolumeClaim]:
    """The claims that ask for less than `size`."""
    return [item for item in claims if _less(item.requested, size)]


def too_large(claims: Iterable[VolumeClaim], size: str) -> list[VolumeClaim]:
    """The claims that ask for more than `size`: a volume does not shrink."""
    return [item for item in claims if _less(size, item.requested)]


def is_expanding(item: VolumeClaim) -> bool:
    """Whether the volume is not yet as large as its claim."""
    return bool(item.capacity) and _less(item.capacity, item.requested)


def _less(one: str, other: str) -> bool:
    left, right = quantity(one), quantity(other)
    return isinstance(left, Decimal) and isinstance(right, Decimal) and left < right


def _templates(stateful_set: Mapping[str, Any]) -> Sequence[Template]:
    found: list[Template] = []
    for item in stateful_set["spec"].get("volumeClaimTemplates", ()):
        spec = item["spec"]
        found.append(
            (
                item["metadata"]["name"],
                quantity(spec["resources"]["requests"]["storage"]),
                spec.get("storageClassName"),
                tuple(spec["accessModes"]),
            )
        )
    return sorted(found, key=lambda template: template[0])

"""Convert parts of the spec that have the form of Kubernetes into manifests, without changes."""

from collections.abc import Iterable

from pydantic import BaseModel

from purpleflea_operator.parsing import MutableManifest


def as_manifest(part: BaseModel, *, only: set[str] | None = None) -> MutableManifest:
    """Return `part` as plain mappings and lists, without unset fields; `only` selects fields of the model."""
    return part.model_dump(mode="json", include=only, by_alias=True, exclude_none=True)


def as_manifests(parts: Iterable[BaseModel]) -> list[MutableManifest]:
    """Return each of `parts` as a manifest."""
    return [as_manifest(item) for item in parts]

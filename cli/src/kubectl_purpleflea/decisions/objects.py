"""Reads parts of Kubernetes objects that no schema has checked. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Manifest = Mapping[str, Any]


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping, or an empty one if the value is none."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """Return the mappings in a list; other values are left out."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a text, or an empty one if the value is none."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """Return an integer, or 0 if the value is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def at(manifest: object, *path: str) -> Any:
    """Return the value at a path of keys; None if a key is missing."""
    value: Any = manifest
    for key in path:
        value = mapping(value).get(key)
    return value


def name_of(manifest: Manifest) -> str:
    """Return metadata.name."""
    return text(at(manifest, "metadata", "name"))


def namespace_of(manifest: Manifest) -> str:
    """Return metadata.namespace."""
    return text(at(manifest, "metadata", "namespace"))


def uid_of(manifest: Manifest) -> str:
    """Return metadata.uid."""
    return text(at(manifest, "metadata", "uid"))


def id_of(manifest: Manifest) -> str:
    """Return namespace and name, as <namespace>/<name>."""
    return f"{namespace_of(manifest)}/{name_of(manifest)}"


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """Return metadata.labels."""
    return mapping(at(manifest, "metadata", "labels"))


def annotations_of(manifest: Manifest) -> Mapping[str, str]:
    """Return metadata.annotations."""
    return mapping(at(manifest, "metadata", "annotations"))


def condition(manifest: Manifest, kind: str) -> Mapping[str, Any]:
    """Return the condition of a type; empty if the status has none."""
    found: Iterable[Mapping[str, Any]] = items(at(manifest, "status", "conditions"))
    return next((item for item in found if item.get("type") == kind), {})

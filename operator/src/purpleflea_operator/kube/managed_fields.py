"""Ownership of the fields of an object that the operator created with a POST. Pure.

A POST costs the API server half of a server-side apply, and fails if the name is taken. Its fields belong to an entry
of managedFields with the operation Update, and server-side apply removes only fields of an entry with the operation
Apply. Therefore the entry is converted before an apply that removes fields, as client-go's csaupgrade does. Otherwise a
field that is no longer desired would stay.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_operator.kube.protocol import FIELD_MANAGER
from purpleflea_operator.parsing import Manifest

CREATED: Manifest = {"manager": FIELD_MANAGER, "operation": "Update"}
"""Entry of managedFields, without its fields, that the cache keeps of an object that was created with a POST."""


def is_created_entry(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of managedFields has the fields that the operator set with a POST."""
    is_ours = entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Update"
    return is_ours and not entry.get("subresource")


def needs_conversion(live: Manifest) -> bool:
    """Return whether fields of an object would stay after an apply without them."""
    return any(is_created_entry(entry) for entry in live["metadata"].get("managedFields", ()))


def converted(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return managedFields in which the operator's fields belong to one entry with the operation Apply."""
    others: list[dict[str, Any]] = []
    ours: dict[str, Any] = {}
    for entry in entries:
        if is_created_entry(entry) or _is_applied_entry(entry):
            fields = _union(ours.get("fieldsV1", {}), entry.get("fieldsV1", {}))
            ours = {**entry, "operation": "Apply", "fieldsV1": fields}
        else:
            others.append(dict(entry))
    return [*others, ours] if ours else others


def _is_applied_entry(entry: Mapping[str, Any]) -> bool:
    is_ours = entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
    return is_ours and not entry.get("subresource")


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        **{name: _union(one.get(name, {}), inner) for name, inner in other.items()},
    }

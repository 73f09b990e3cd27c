"""The part of a live object that the operator decides, so that it can be compared with its rendered manifest. Pure.

The API server adds defaults, a status and the fields of other clients. A field of the live object counts if the present
or the new manifest has it, so a field that the operator would remove is shown, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kubectl_purpleflea.decisions.objects import Manifest

_LIST_KEYS = ("mountPath", "name", "uid", "containerPort")
"""Fields that identify the items of a list. A volume can be mounted twice, so the key of a mount is its path."""
_EMPTY: tuple[Any, ...] = (None, "", {}, [], False, 0)
_SYSTEM = ("managedFields", "creationTimestamp", "generation", "resourceVersion", "uid")


def compared(live: Manifest, former: Manifest, new: Manifest) -> tuple[Manifest, Manifest]:
    """Return the live and the new object as they are compared."""
    return _decided(live, _union(former, new)), _stored(new, live)


def whole(live: Manifest) -> dict[str, Any]:
    """Return a live object without its status and the metadata that the API server sets."""
    metadata = {key: item for key, item in live["metadata"].items() if key not in _SYSTEM}
    return {**{key: item for key, item in live.items() if key != "status"}, "metadata": metadata}


def _decided(live: Any, shape: Any) -> Any:
    """Return the fields of a live value that the shape has."""
    if isinstance(live, Mapping) and isinstance(shape, Mapping):
        return {key: _decided(item, shape[key]) for key, item in live.items() if key in shape}
    if isinstance(live, list) and isinstance(shape, list):
        key = _list_key(shape)
        if key is not None:
            shapes = {item[key]: item for item in shape}
            found = [item for item in live if isinstance(item, Mapping)]
            return [
                _decided(item, shapes[item.get(key)]) for item in found if item.get(key) in shapes
            ]
        if len(live) == len(shape):
            return [_decided(item, inner) for item, inner in zip(live, shape, strict=True)]
    return live


def _union(one: Any, other: Any) -> Any:
    """Return a value with the fields of both; where they differ otherwise, the second one."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = [*other, *(key for key in one if key not in other)]
        return {
            key: _union(one[key], other[key])
            if key in one and key in other
            else {**one, **other}[key]
            for key in keys
        }
    key = _list_key(one) if isinstance(one, list) else None
    if key is None or not isinstance(other, list) or _list_key(other) != key:
        return other
    known = {item[key]: item for item in one}
    merged = [_union(known.pop(item[key], item), item) for item in other]
    return [*merged, *known.values()]


def _stored(new: Any, live: Any) -> Any:
    """Return a new value without empty fields that the API server does not store."""
    if isinstance(new, Mapping) and isinstance(live, Mapping):
        return {
            key: _stored(item, live.get(key))
            for key, item in new.items()
            if key in live or not _is_empty(item)
        }
    if isinstance(new, list) and isinstance(live, list):
        key = _list_key(new)
        if key is not None:
            known = {item.get(key): item for item in live if isinstance(item, Mapping)}
            return [_stored(item, known.get(item[key])) for item in new]
        if len(new) == len(live):
            return [_stored(item, inner) for item, inner in zip(new, live, strict=True)]
    return new


def _is_empty(value: Any) -> bool:
    return any(value == item and type(value) is type(item) for item in _EMPTY)


def _list_key(items: Sequence[Any]) -> str | None:
    """Return the field that identifies the items of a list; None if the list is compared by position."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in _LIST_KEYS:
        if all(isinstance(item.get(key), str | int) for item in items):
            return key
    return None

"""Field ownership: the managed fields of an object as sets of paths.

Paths have the elements of `fieldsV1`: `f:<field>`, `k:<item key>`, `v:<set member>`, and a final `.` for the item.
The module must not handle requests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from support.apiserver.kinds import (
    ATOMIC_MAPS,
    KEY_DEFAULTS,
    SET_LISTS,
    FieldPath,
    Kind,
    Obj,
    list_keys,
)

Path = tuple[str, ...]
Leaves = dict[Path, Any]
Trie = dict[str, Any]

_MISSING = object()
_UNOWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Fields of one manager. `tree` is the same set in the format of fieldsV1."""

    paths: frozenset[Path]
    time: str
    tree: Trie = field(compare=False, repr=False)

    def at(self, time: str) -> "Owned":
        return Owned(paths=self.paths, time=time, tree=self.tree)


Owners = Mapping[Manager, Owned]


@lru_cache(maxsize=4096)
def _field(name: str) -> str:
    return f"f:{name}"


def item_element(item: Any, keys: tuple[str, ...]) -> str:
    """Return the path element of an item of a keyed list."""
    return _element(keys, tuple([item.get(key, KEY_DEFAULTS.get(key)) for key in keys]))


@lru_cache(maxsize=16384)
def _element(keys: tuple[str, ...], values: tuple[Any, ...]) -> str:
    key = dict(zip(keys, values, strict=True))
    return "k:" + orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()


def set_element(item: Any) -> str:
    """Return the path element of a member of a set."""
    return "v:" + orjson.dumps(item).decode()


def leaves(kind: Kind, obj: Obj) -> Leaves:
    """Return every field of an object that can have an owner, with its value."""
    found: Leaves = {}
    for name, value in obj.items():
        if name == "metadata":
            value = {k: v for k, v in value.items() if k not in _UNOWNED_METADATA}
            if not value:
                continue
        if name not in ("apiVersion", "kind"):
            _collect(kind, value, (_field(name),), (name,), found)
    return found


def _collect(kind: Kind, value: Any, path: Path, fields: FieldPath, found: Leaves) -> None:
    if isinstance(value, dict) and value and fields[-1] not in ATOMIC_MAPS:
        for name, inner in value.items():
            if inner is not None:
                _collect(kind, inner, (*path, _field(name)), (*fields, name), found)
        return
    if isinstance(value, list) and value:
        if fields in SET_LISTS:
            found.update(((*path, set_element(item)), item) for item in value)
            return
        keys = list_keys(kind, fields)
        if keys:
            _collect_items(kind, value, (path, fields, keys), found)
            return
    found[path] = value


def _collect_items(
    kind: Kind, items: list[Any], where: tuple[Path, FieldPath, tuple[str, ...]], found: Leaves
) -> None:
    path, fields, keys = where
    for item in items:
        here = (*path, item_element(item, keys))
        found[(*here, ".")] = True
        if fields[-1] in ATOMIC_MAPS:
            found[here] = item
            continue
        for name, inner in item.items():
            if isinstance(inner, str):
                found[*here, _field(name)] = inner
            elif inner is not None:
                _collect(kind, inner, (*here, _field(name)), (*fields, name), found)


def after_update(
    owners: Owners, before: Leaves, after: Leaves, manager: Manager, now: str
) -> Owners:
    """Return the ownership after an update: the manager that changes a field becomes its only owner."""
    touched = {path for path, value in after.items() if before.get(path, _MISSING) != value}
    lost = touched | (before.keys() - after.keys())
    if not lost:
        return owners
    result = _without(owners, lost)
    if touched:
        had = owners.get(manager)
        mine = result[manager].paths | touched if manager in result else frozenset(touched)
        is_same = had is not None and had.paths == mine
        result[manager] = had.at(now) if had and is_same else owned(mine, now)
    return result


def without_paths(owners: Owners, lost: Iterable[Path], *, keep: Manager) -> dict[Manager, Owned]:
    """Return the ownership after one manager took these fields from all others."""
    mine = owners.get(keep)
    rest = {manager: current for manager, current in owners.items() if manager != keep}
    result = _without(rest, set(lost))
    return result if mine is None else {**result, keep: mine}


def _without(owners: Owners, lost: set[Path]) -> dict[Manager, Owned]:
    result: dict[Manager, Owned] = {}
    for manager, current in owners.items():
        left = current.paths - lost
        if left:
            is_same = len(left) == len(current.paths)
            result[manager] = current if is_same else owned(left, current.time)
    return result


def trie(paths: Iterable[Path]) -> Trie:
    root: Trie = {}
    for path in paths:
        node = root
        for element in path:
            node = node.setdefault(element, {})
    return root


def owned(paths: Iterable[Path], time: str) -> Owned:
    """Return the fields of a manager. Objects of the same shape share paths and tree, to save memory."""
    known, tree = _shape(frozenset(paths))
    return Owned(paths=known, time=time, tree=tree)


@lru_cache(maxsize=4096)
def _shape(paths: frozenset[Path]) -> tuple[frozenset[Path], Trie]:
    return paths, trie(paths)


def managed_fields(owners: Owners) -> list[Obj]:
    """Return metadata.managedFields of an object."""
    return [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": current.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": current.tree,
            **({"subresource": manager.subresource} if manager.subresource else {}),
        }
        for manager, current in owners.items()
    ]


def owners_from(entries: Iterable[Obj]) -> Owners:
    """Parse metadata.managedFields as a client sent them. A list of empty entries clears the ownership."""
    return {
        Manager(
            name=entry["manager"],
            operation=entry["operation"],
            api_version=entry["apiVersion"],
            subresource=entry.get("subresource", ""),
        ): owned(_paths(entry["fieldsV1"], ()), entry.get("time", ""))
        for entry in entries
        if entry
    }


def _paths(node: Trie, prefix: Path) -> Iterable[Path]:
    for element, inner in node.items():
        if inner:
            yield from _paths(inner, (*prefix, element))
        else:
            yield (*prefix, element)

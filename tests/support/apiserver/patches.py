"""The four kinds of patches, as pure functions from the stored object and a patch to a new object.

No argument is changed. Results share unchanged parts with their sources.
"""

from collections.abc import Mapping
from typing import Any

import jsonpatch

from support.apiserver import fields
from support.apiserver.errors import ApiError
from support.apiserver.fields import Manager, Owners, Path, Trie
from support.apiserver.kinds import ATOMIC_MAPS, SET_LISTS, FieldPath, Kind, Obj, list_keys


def merge(live: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def json_patch(live: Obj, operations: list[Obj]) -> Obj:
    """Apply a JSON patch (RFC 6902). An operation that fails raises an Invalid error."""
    try:
        patched: Obj = jsonpatch.apply_patch(live, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise ApiError(
            422, f"the server rejected our request due to an error in our request: {error}"
        ) from error
    return patched


def keyed_merge(kind: Kind, live: Any, patch: Any, path: FieldPath = ()) -> Any:
    """Merge maps by field and known lists by key, for strategic merge patches and for server-side apply."""
    if patch == live:
        return live
    if isinstance(patch, dict) and isinstance(live, dict) and not _is_atomic(path):
        result = dict(live)
        for name, value in patch.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = keyed_merge(kind, live.get(name), value, (*path, name))
        return result
    if isinstance(patch, list) and isinstance(live, list) and path:
        if path in SET_LISTS:
            return [*live, *(item for item in patch if item not in live)]
        keys = list_keys(kind, path)
        if keys:
            return _merged_items(kind, (live, patch), path, keys)
    return patch


def _is_atomic(path: FieldPath) -> bool:
    return bool(path) and path[-1] in ATOMIC_MAPS


def _merged_items(
    kind: Kind, sides: tuple[list[Any], list[Any]], path: FieldPath, keys: tuple[str, ...]
) -> list[Any]:
    """Merge two keyed lists. Items of the patch keep its sequence, and all other items keep their positions."""
    old = {fields.item_element(item, keys): item for item in sides[0]}
    new = {fields.item_element(item, keys): item for item in sides[1]}
    waiting = iter(new.items())
    result: list[Any] = []
    for element, item in old.items():
        if element not in new:
            result.append(item)
            continue
        for other, wanted in waiting:
            result.append(keyed_merge(kind, old.get(other, {}), wanted, path))
            if other in old:
                break
    result.extend(keyed_merge(kind, old.get(other, {}), wanted, path) for other, wanted in waiting)
    return result


def server_side_apply(
    kind: Kind, live: Obj, owners: Owners, config: Obj, options: tuple[Manager, str, bool]
) -> tuple[Obj, Owners]:
    """Return object and ownership after a manager applied its configuration."""
    manager, now, force = options
    wanted = fields.leaves(kind, config)
    contested = _conflicts(kind, live, owners, (manager, wanted))
    if contested and not force:
        raise _conflict(contested)
    result = fields.without_paths(owners, contested, keep=manager) if contested else dict(owners)
    previous = result.pop(manager, fields.owned((), ""))
    merged = keyed_merge(kind, live, config)
    gone = previous.paths - wanted.keys()
    if gone:
        kept = frozenset(wanted).union(*(owned.paths for owned in result.values()))
        merged = _pruned(kind, merged, (fields.trie(gone - kept), fields.trie(kept)), ())
    is_same = previous.paths == wanted.keys()
    mine = previous if is_same else fields.owned(wanted, now)
    if wanted:
        result[manager] = mine if merged == live else mine.at(now)
    return merged, result


def _conflicts(
    kind: Kind, live: Obj, owners: Owners, applied: tuple[Manager, Mapping[Path, Any]]
) -> dict[Path, Manager]:
    manager, wanted = applied
    shared = {
        path: other
        for other, owned in owners.items()
        if other != manager
        for path in owned.paths & wanted.keys()
    }
    existing = fields.leaves(kind, live) if shared else {}
    return {path: other for path, other in shared.items() if existing.get(path) != wanted[path]}


def _conflict(contested: Mapping[Path, Manager]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{other.name}" using {other.api_version}',
            "field": "".join("." + e[2:] if e[0] == "f" else f"[{e}]" for e in path),
        }
        for path, other in sorted(contested.items(), key=lambda item: item[0])
    ]
    listed = ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    plural = "" if len(causes) == 1 else "s"
    return ApiError(
        409, f"Apply failed with {len(causes)} conflict{plural}: {listed}", causes=causes
    )


def _pruned(kind: Kind, value: Any, marks: tuple[Trie, Trie], path: FieldPath) -> Any:
    """Remove the fields that the manager no longer applies (first mark) and that have no other owner (second mark)."""
    gone, kept = marks
    if isinstance(value, dict):
        result = dict(value)
        for name in value:
            inner = gone.get(f"f:{name}")
            if inner is None:
                continue
            still = kept.get(f"f:{name}")
            left = (
                _pruned(kind, value[name], (inner, still or {}), (*path, name)) if inner else None
            )
            if still is None and not left:
                del result[name]
            elif left is not None:
                result[name] = left
        return result
    if not isinstance(value, list):
        return value
    if path in SET_LISTS:
        dropped = {element for element in gone if element not in kept}
        return [item for item in value if fields.set_element(item) not in dropped]
    return _pruned_items(kind, value, marks, path)


def _pruned_items(
    kind: Kind, items: list[Any], marks: tuple[Trie, Trie], path: FieldPath
) -> list[Any]:
    gone, kept = marks
    keys = list_keys(kind, path) or ()
    result = []
    for item in items:
        element = fields.item_element(item, keys)
        inner, still = gone.get(element), kept.get(element)
        if inner is None:
            result.append(item)
        elif still is not None or "." not in inner:
            identity = {key: item[key] for key in keys if key in item}
            result.append({**_pruned(kind, item, (inner, still or {}), path), **identity})
    return result

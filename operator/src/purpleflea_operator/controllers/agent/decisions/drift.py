"""Comparison of a live object with its desired state, without a request. Pure.

The desired fields must be a subset of the live ones. Defaults that the API server added are not drift, and neither are
empty values that it does not store, or another text of the same quantity.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from purpleflea_operator.controllers.agent.decisions.quantity import same_quantity
from purpleflea_operator.parsing import Manifest

_WHOLE_KEYS = frozenset({"podSelector", "selector", "matchLabels", "nodeSelector"})
"""Maps that the operator owns completely: with an additional entry, a policy would select other pods or none."""
_QUANTITY_KEYS = frozenset(
    {"requests", "limits", "capacity", "sizeLimit", "divisor", "defaultRequest"}
)
_MAP_KEYS = frozenset(
    {
        *("annotations", "labels", "matchLabels", "nodeSelector", "requests", "limits"),
        *("data", "binaryData", "volumeAttributes", "options", "resources"),
    }
)
"""Maps and structures that the API server does not store if they are empty. Others, such as emptyDir, have a meaning
even if they are empty."""
_FALSE_KEYS = frozenset({"readOnly", "hostNetwork", "hostPID", "hostIPC", "stdin", "tty"})
"""Flags that the API server does not store if they are false. For others, false differs from a missing value."""
_ZERO_KEYS = frozenset({"hostPort", "minReadySeconds"})
"""Numbers that the API server does not store if they are 0."""
_SCALARS = (str, int, float)
# A volume can be mounted twice, so the key of a mount is its path.
_LIST_KEYS = ("mountPath", "name", "uid", "containerPort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first desired field that has another value in the live object."""

    path: str
    """Path of the field, such as spec.template.spec.containers[agent].image."""
    wanted: Any
    stored: Any
    """None if the field is missing."""


def is_subset(desired: Any, live: Any) -> bool:
    """Return whether every desired field has its desired value in `live`."""
    return difference(desired, live) is None


def difference(desired: Any, live: Any) -> Difference | None:
    """Return the first desired field that `live` lacks, or that has another value there; None if there is none."""
    return _difference(desired, live, quantities=False)


def child_difference(desired: Manifest, live: Manifest) -> Difference | None:
    """Return the first field of a child that must be written; None if the live child is as desired.

    A NetworkPolicy has no additional fields, because a further rule, peer or port allows more traffic. The API server
    adds no defaults there.
    """
    found = difference(desired, live)
    if found is not None or desired["kind"] != "NetworkPolicy":
        return found
    more = difference({"spec": live["spec"]}, {"spec": desired["spec"]})
    if more is None:
        return None
    return Difference(path=more.path, wanted=more.stored, stored=more.wanted)


def _difference(desired: Any, live: Any, *, quantities: bool) -> Difference | None:
    """Return the first difference, with its path from here on. Most values do not differ, so they need no path."""
    if isinstance(desired, _SCALARS):
        if quantities and isinstance(live, _SCALARS):
            is_same = same_quantity(desired, live)
        else:
            is_same = desired == live and isinstance(desired, bool) is isinstance(live, bool)
    elif isinstance(desired, Mapping) and isinstance(live, Mapping):
        return _in_mapping(desired, live, quantities=quantities)
    elif isinstance(desired, list | tuple) and isinstance(live, list):
        return _in_list(desired, live, quantities=quantities)
    else:
        is_same = bool(desired == live)
    return None if is_same else Difference(path="", wanted=desired, stored=live)


def _in_mapping(
    desired: Mapping[str, Any], live: Mapping[str, Any], *, quantities: bool
) -> Difference | None:
    for key, value in desired.items():
        if key not in live:
            if _is_not_stored(key, value):
                continue
            return Difference(path=key, wanted=value, stored=None)
        if key in _WHOLE_KEYS and isinstance(value, Mapping) and _has_more(live[key], value):
            return Difference(path=key, wanted=value, stored=live[key])
        found = _difference(value, live[key], quantities=quantities or key in _QUANTITY_KEYS)
        if found is not None:
            return _within(key, found)
    return None


def _within(step: str, found: Difference) -> Difference:
    """Return a difference with the step to it before its path."""
    separator = "" if not found.path or found.path.startswith("[") else "."
    return replace(found, path=f"{step}{separator}{found.path}")


def _has_more(live: Any, desired: Mapping[str, Any]) -> bool:
    return isinstance(live, Mapping) and not live.keys() <= desired.keys()


def _is_not_stored(key: str, value: Any) -> bool:
    """Return whether the API server drops this value of a field."""
    match value:
        case None | "":
            return True
        case bool():
            return not value and key in _FALSE_KEYS
        case int():
            return value == 0 and key in _ZERO_KEYS
        case Mapping():
            return key in _MAP_KEYS and all(_is_not_stored(*item) for item in value.items())
        case Sequence():
            return len(value) == 0
        case _:
            return False


def _in_list(desired: Sequence[Any], live: Sequence[Any], *, quantities: bool) -> Difference | None:
    key = list_key(desired)
    if key is None:
        if len(desired) != len(live):
            return Difference(path="", wanted=desired, stored=live)
        pairs: Iterable[tuple[Any, Any]] = zip(desired, live, strict=True)
    else:
        # Lists with keys can have additional items, such as the sidecar of a webhook.
        by_key = {_identity(item, key): item for item in live}
        pairs = ((item, by_key.get(item[key])) for item in desired)
    for index, (wanted, have) in enumerate(pairs):
        found = _difference(wanted, have, quantities=quantities)
        if found is not None:
            return _within(f"[{index if key is None else wanted[key]}]", found)
    return None


def _identity(item: Any, key: str) -> str | int | None:
    """Return the value that identifies an item; None if it has none that can be compared."""
    value = item.get(key) if isinstance(item, Mapping) else None
    return value if isinstance(value, str | int) else None


def list_key(items: Sequence[Any]) -> str | None:
    """Return the field that identifies the items of a list; None if the list is compared by position."""
    first = items[0] if items else None
    if not isinstance(first, Mapping):
        return None
    for key in _LIST_KEYS:
        if key in first and all(_identity(item, key) is not None for item in items):
            return key
    return None

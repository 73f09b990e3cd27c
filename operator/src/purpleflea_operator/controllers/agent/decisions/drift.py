"""Comparison of a live object with its desired state, without a request. Pure.

The desired fields must be a subset of the live ones. Defaults that the API server added are not drift, and neither are
empty values that it does not store, or another text of the same quantity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    return _difference(desired, live, "", quantities=False)


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


def _difference(desired: Any, live: Any, path: str, *, quantities: bool) -> Difference | None:
    match desired:
        case Mapping() if isinstance(live, Mapping):
            return _in_mapping(desired, live, path, quantities=quantities)
        case str() | int() | float() if quantities and isinstance(live, str | int | float):
            is_same = same_quantity(desired, live)
        case Sequence() if not isinstance(desired, str) and isinstance(live, list):
            return _in_list(desired, live, path, quantities=quantities)
        case _:
            is_same = bool(desired == live) and isinstance(desired, bool) is isinstance(live, bool)
    return None if is_same else Difference(path=path, wanted=desired, stored=live)


def _in_mapping(
    desired: Mapping[str, Any], live: Mapping[str, Any], path: str, *, quantities: bool
) -> Difference | None:
    for key, value in desired.items():
        inner = f"{path}.{key}" if path else str(key)
        if key not in live:
            if _is_not_stored(key, value):
                continue
            return Difference(path=inner, wanted=value, stored=None)
        if key in _WHOLE_KEYS and isinstance(value, Mapping) and _has_more(live[key], value):
            return Difference(path=inner, wanted=value, stored=live[key])
        found = _difference(value, live[key], inner, quantities=quantities or key in _QUANTITY_KEYS)
        if found is not None:
            return found
    return None


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


def _in_list(
    desired: Sequence[Any], live: Sequence[Any], path: str, *, quantities: bool
) -> Difference | None:
    key = list_key(desired)
    if key is None:
        if len(desired) != len(live):
            return Difference(path=path, wanted=desired, stored=live)
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(desired, live, strict=True))]
    else:
        # Lists with keys can have additional items, such as the sidecar of a webhook.
        by_key = {_identity(item, key): item for item in live}
        pairs = [(str(item[key]), item, by_key.get(item[key])) for item in desired]
    for name, wanted, have in pairs:
        found = _difference(wanted, have, f"{path}[{name}]", quantities=quantities)
        if found is not None:
            return found
    return None


def _identity(item: Any, key: str) -> str | int | None:
    """Return the value that identifies an item; None if it has none that can be compared."""
    value = item.get(key) if isinstance(item, Mapping) else None
    return value if isinstance(value, str | int) else None


def list_key(items: Sequence[Any]) -> str | None:
    """Return the field that identifies the items of a list; None if the list is compared by position."""
    for key in _LIST_KEYS:
        if items and all(_identity(item, key) is not None for item in items):
            return key
    return None

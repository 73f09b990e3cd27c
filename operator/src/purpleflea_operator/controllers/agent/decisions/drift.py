"""Comparison of a live object with its desired state, without a request. Pure.

The desired fields must be a subset of the live ones. Defaults that the API server added are not drift.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_WHOLE_KEYS = frozenset({"podSelector", "selector", "matchLabels", "nodeSelector"})
"""Maps that the operator owns completely: with an additional entry, a policy would select other pods or none."""
_QUANTITY_KEYS = frozenset({"requests", "limits", "sizeLimit"})
# A volume can be mounted twice, so the key of a mount is its path.
_LIST_KEYS = ("mountPath", "name", "uid", "containerPort")
_SUFFIXES = {
    "n": Decimal("0.000000001"),
    "u": Decimal("0.000001"),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}

_QUANTITY = re.compile(
    r"(?P<number>[+-]?([0-9]{1,40}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?)"
    r"(?P<suffix>[numkMGTPE]|[KMGTPE]i)?",
    re.ASCII,
)


def is_subset(desired: Any, live: Any) -> bool:
    """Return whether every desired field has its desired value in `live`."""
    return _is_subset(desired, live, quantities=False)


def _is_subset(desired: Any, live: Any, *, quantities: bool) -> bool:
    match desired:
        case Mapping():
            return isinstance(live, Mapping) and all(
                _field_matches(key, value, live, quantities=quantities)
                for key, value in desired.items()
            )
        case str() if quantities:
            return quantity(desired) == quantity(live)
        case Sequence() if not isinstance(desired, str):
            return isinstance(live, list) and _list_matches(desired, live, quantities=quantities)
        case _:
            return bool(desired == live)


def _field_matches(key: str, desired: Any, live: Mapping[str, Any], *, quantities: bool) -> bool:
    if key not in live:
        # The API server does not store empty lists.
        return desired in ([], ())
    if key in _WHOLE_KEYS and desired.keys() != live[key].keys():
        return False
    return _is_subset(desired, live[key], quantities=quantities or key in _QUANTITY_KEYS)


def _list_matches(desired: Sequence[Any], live: Sequence[Any], *, quantities: bool) -> bool:
    key = list_key(desired)
    if key is None:
        return len(desired) == len(live) and all(
            _is_subset(want, have, quantities=quantities)
            for want, have in zip(desired, live, strict=True)
        )
    # Lists with keys can have additional items, such as the sidecar of a webhook.
    by_key = {_identity(item, key): item for item in live}
    return all(
        item[key] in by_key and _is_subset(item, by_key[item[key]], quantities=quantities)
        for item in desired
    )


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


def quantity(text: Any) -> Decimal | str:
    """Return the value of a Kubernetes quantity, so that 0.5 equals 500m; or the text if it is not a quantity."""
    written = str(text)
    parts = _QUANTITY.fullmatch(written)
    if parts is None:
        return written
    return Decimal(parts["number"]) * _SUFFIXES.get(parts["suffix"] or "", Decimal(1))

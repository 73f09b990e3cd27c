"""The size and the depth of a spec, checked before it is parsed. Pure.

The CRD has the same purpose for each field. But an older CRD may be installed, and the API server accepts objects of
1.5 MB. The parser would then list hundreds of thousands of errors, which takes a gigabyte of memory.
"""

from collections.abc import Mapping
from typing import Any

CHARACTERS = 512 * 1024
"""Characters of all keys and texts. The largest part of a usual spec is 200 KiB of annotations."""
VALUES = 20_000
"""Number of values, with those inside of lists and objects."""
DEPTH = 32
"""Depth of lists and objects; the deepest field of a spec has 10 levels."""


def excess(spec: Any) -> str:
    """Return why a spec is too large to be parsed; empty if it is not."""
    level, values, characters = [spec], 0, 0
    for _ in range(DEPTH):
        inner: list[Any] = []
        values += len(level)
        for value in level:
            if isinstance(value, str):
                characters += len(value)
            elif isinstance(value, Mapping):
                characters += sum(map(len, value))
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        if characters > CHARACTERS:
            return (
                f"it has more than {CHARACTERS // 1024} KiB of text; shorten it, or use ConfigMaps"
            )
        if values + len(inner) > VALUES:
            return f"it has more than {VALUES} values; remove some"
        if not inner:
            return ""
        level = inner
    return f"it is nested deeper than {DEPTH} levels; remove the field that is not part of the resource"

"""Tags as Datadog treats them: lower case, a limited alphabet, at most 200 characters, no duplicates.

Pure. It does not know where tags come from.
"""

import re
from collections.abc import Iterable

_LONGEST = 200
_FORBIDDEN = re.compile(r"[^\w:./\-]+")


def normalised(tag: str) -> str:
    """The tag as it is stored and searched for."""
    return _FORBIDDEN.sub("_", tag.strip().lower())[:_LONGEST].rstrip("_")


def normalised_all(tags: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without duplicates and empty ones: two series with the same tags in another order are one."""
    return tuple(sorted({kept for tag in tags if (kept := normalised(tag))}))


def split(tag: str) -> tuple[str, str]:
    """Name and value; a tag without a colon has an empty value."""
    name, _, value = tag.partition(":")
    return name, value


def merged(*groups: Iterable[str]) -> tuple[str, ...]:
    """All tags in the order of their first appearance, each once."""
    return tuple(dict.fromkeys(tag for group in groups for tag in group if tag))

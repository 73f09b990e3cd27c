"""Tags in Datadog's format: lower case, a limited alphabet, single underscores, at most 200 characters, no duplicates.

Pure. It does not depend on the source of the tags.
"""

import re
from collections.abc import Iterable

_MAX_LENGTH = 200
_FORBIDDEN = re.compile(r"(?:[^\w:./\-]|_)+")


def normalised(tag: str) -> str:
    """Return the tag as it is stored and searched."""
    return _FORBIDDEN.sub("_", tag.strip().lower())[:_MAX_LENGTH].rstrip("_")


def normalised_all(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags sorted, without duplicates and empty tags, so that series with the same tags are equal."""
    return tuple(sorted({kept for tag in tags if (kept := normalised(tag))}))


def split(tag: str) -> tuple[str, str]:
    """Return name and value. If a tag has no colon, its value is empty."""
    name, _, value = tag.partition(":")
    return name, value


def merged(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return all tags in the sequence of their first appearance, without duplicates."""
    return tuple(dict.fromkeys(tag for group in groups for tag in group if tag))

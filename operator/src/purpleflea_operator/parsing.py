"""Parsers for values of Kubernetes objects whose content other people write, each with a range.

Every parser is total: a value outside its range, or of another type, gives None (or the stated substitute) and never an
exception. The API server checks types of built-in objects, but not the content of variables, annotations and images.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Manifest = Mapping[str, Any]
"""A Kubernetes object, or a part of one, as decoded from JSON. It is read-only, because caches share their objects."""
MutableManifest = dict[str, Any]
"""A Kubernetes object, or a part of one, that its owner is still building."""

NAME_LIMIT = 253
"""Characters of the longest Kubernetes name."""
PATH_LIMIT = 1024
MESSAGE_LIMIT = 1024
SOCKET_NAME_LIMIT = 80
"""The kernel takes 107 bytes for the path of a socket, of which the folder in the pod takes up to 21."""

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}", re.ASCII)


def table(value: object) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Mapping[str, Any]]:
    """The mappings among the items of a list."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return [item for item in value if isinstance(item, Mapping)] if is_list else []  # type: ignore[attr-defined]


def text(value: object, *, limit: int = NAME_LIMIT) -> str:
    """The text, cut at `limit` characters; empty for other types."""
    return value[:limit] if isinstance(value, str) else ""


def name(value: object) -> str | None:
    """A name of Kubernetes, of a label value or of a Helm release: it can be part of a path or of a command."""
    if not isinstance(value, str) or len(value) > NAME_LIMIT:
        return None
    return value if _NAME.fullmatch(value) else None


def tag(value: object) -> str | None:
    """The tag of an image, or the version of a chart."""
    return value if isinstance(value, str) and _TAG.fullmatch(value) else None


def port(value: object) -> int | None:
    """A port from 1 to 65535, as an integer or in ASCII digits without a leading zero."""
    if isinstance(value, str) and _PORT.fullmatch(value):
        value = int(value)
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and 1 <= value <= 65535 else None  # type: ignore[operator, return-value]


def count(value: object) -> int:
    """A count from 0 to 2**31 - 1; 0 for everything else."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and 0 <= value < 2**31 else 0  # type: ignore[operator, return-value]


def path(value: object, *, limit: int = PATH_LIMIT) -> str | None:
    """An absolute path of printable characters, without `..` and without references such as $(NAME)."""
    if not isinstance(value, str) or not value.startswith("/") or len(value) > limit:
        return None
    is_clean = value.isprintable() and "$" not in value and ".." not in value.split("/")
    return value if is_clean else None


def socket_name(value: object) -> str | None:
    """The file name of a socket, short enough for the path under which a pod sees it."""
    found = path(f"/{value}") if isinstance(value, str) and value and "/" not in value else None
    is_short = found is not None and len(found.encode()) <= SOCKET_NAME_LIMIT + 1
    return str(value) if is_short and value != "." else None


def moment(value: object) -> datetime | None:
    """A time of Kubernetes; a time without a zone counts as UTC."""
    if not isinstance(value, str) or not value or len(value) > 64:
        return None
    try:
        found = datetime.fromisoformat(value)
        # A zone can move a time beyond the years that can be compared.
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def resource_version(value: object) -> int:
    """A resource version; 0 for one that is not a decimal number of at most 20 digits."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else 0

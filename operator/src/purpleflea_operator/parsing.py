"""Parsers for values of Kubernetes objects that other components and users write, each with a range.

If a value is outside its range or has another type, a parser returns None (or the stated substitute). It never raises
an exception. The parsers are needed because the API server checks the types of built-in objects, but not the content of
variables, annotations and images.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

Manifest = Mapping[str, Any]
"""A Kubernetes object, or a part of one, as decoded from JSON. It is read-only, because caches share their objects."""
MutableManifest = dict[str, Any]
"""A Kubernetes object, or a part of one, that its owner is still building."""

NAME_LIMIT = 253
"""Maximum length of a Kubernetes name in characters."""
PATH_LIMIT = 1024
MESSAGE_LIMIT = 1024
SOCKET_NAME_LIMIT = 80
"""Maximum length in bytes: the kernel allows 107 for the path of a socket, and the folder in the pod needs up to 21."""

_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?", re.ASCII)
_ADDRESS = re.compile(r"[0-9.]+", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}", re.ASCII)


def mapping(value: object) -> Mapping[str, Any]:
    """Return the mapping, or an empty mapping if the value has another type."""
    # Objects decoded from JSON are dicts, and the check of an abstract class takes four times as long.
    return value if isinstance(value, (dict, Mapping)) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the items of a list that are mappings; empty if the value is not a list."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, (dict, Mapping))]


def text(value: object, *, limit: int = NAME_LIMIT) -> str:
    """Return the text, truncated to `limit` characters; empty if the value has another type."""
    return value[:limit] if isinstance(value, str) else ""


def name(value: object) -> str | None:
    """Return a name that is safe in a path or a command, such as a Kubernetes name or a label value; else None."""
    if not isinstance(value, str) or len(value) > NAME_LIMIT:
        return None
    return value if _NAME.fullmatch(value) else None


def host(value: object) -> str | None:
    """Return the name of a host or an IP address; None if it has another form.

    An IPv6 address is returned in its short form without brackets, as clients of Datadog expect it in DD_AGENT_HOST. A
    name may end with a dot, which is kept: it makes the name absolute.
    """
    if not isinstance(value, str) or len(value) > NAME_LIMIT:
        return None
    if ":" in value or _ADDRESS.fullmatch(value):
        is_bracketed = value.startswith("[") and value.endswith("]") and ":" in value
        return _address(value[1:-1] if is_bracketed else value)
    return value if _HOST.fullmatch(value) else None


def _address(value: str) -> str | None:
    try:
        return None if "%" in value else str(ip_address(value))
    except ValueError:
        return None


def tag(value: object) -> str | None:
    """Return the tag of an image, or the version of a chart; None if it has another form."""
    return value if isinstance(value, str) and _TAG.fullmatch(value) else None


def port(value: object) -> int | None:
    """Return a port from 1 to 65535, given as an integer or as ASCII digits without a leading zero; else None."""
    if isinstance(value, str) and _PORT.fullmatch(value):
        value = int(value)
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and 1 <= value <= 65535 else None  # type: ignore[operator, return-value]


def count(value: object) -> int:
    """Return a count from 0 to 2**31 - 1; 0 for every other value."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and 0 <= value < 2**31 else 0  # type: ignore[operator, return-value]


def path(value: object, *, limit: int = PATH_LIMIT) -> str | None:
    """Return an absolute path of printable characters, without `..` and without references as $(NAME); else None."""
    if not isinstance(value, str) or not value.startswith("/") or len(value) > limit:
        return None
    is_clean = value.isprintable() and "$" not in value and ".." not in value.split("/")
    return value if is_clean else None


def socket_name(value: object) -> str | None:
    """Return the file name of a socket if it is short enough for its path in a pod; else None."""
    absolute = path(f"/{value}") if isinstance(value, str) and value and "/" not in value else None
    is_short = absolute is not None and len(absolute.encode()) <= SOCKET_NAME_LIMIT + 1
    return str(value) if is_short and value != "." else None


def timestamp(value: object) -> datetime | None:
    """Return a Kubernetes timestamp in UTC; None if it cannot be parsed. UTC is assumed if the zone is missing."""
    if not isinstance(value, str) or not value or len(value) > 64:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        # The conversion can overflow: a zone can move a time out of the supported range of years.
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def resource_version(value: object) -> int:
    """Return a resource version; 0 if it is not a decimal number of at most 20 digits."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else 0

"""Pure: (kind, body) -> the part of it that is owned, and the body of an update.

Version 2 of the API wraps attributes; names of indexes and types of metrics are given once and cannot be changed.
"""

from typing import Any

from purpleflea_operator.observability.objects import Body, Kind

WRAPPED = frozenset({Kind.METRIC_TAGS, Kind.SCANNER_GROUP, Kind.SCANNER_RULE, Kind.NOTEBOOK})
FIXED = {Kind.METRIC_TAGS: "metric_type", Kind.LOG_INDEX: "name"}


def owned(kind: Kind, body: Body) -> Body:
    """What is compared and kept right: the attributes that can be changed."""
    found: Body = body["data"]["attributes"] if kind in WRAPPED else body
    return {name: value for name, value in found.items() if name != FIXED.get(kind)}


def update(kind: Kind, identifier: str, body: Body) -> Body:
    """The body that changes an object into what `body` would have made."""
    if kind is Kind.NOTEBOOK or kind not in WRAPPED:
        return owned(kind, body) if kind in FIXED else body
    data: dict[str, Any] = {
        "type": body["data"]["type"],
        "id": identifier,
        "attributes": owned(kind, body),
    }
    return {"data": data} if kind is Kind.METRIC_TAGS else {"data": data, "meta": {}}

"""What to look for in Datadog, and what was found: one object, and all that one look shows.

Pure: (kind, body) -> the part of it that is owned, and the body of an update.

Version 2 of the API wraps attributes; names of indexes and types of metrics are given once and cannot be changed.
"""

from dataclasses import dataclass, field
from typing import Any

from purpleflea_operator.datadog.client.errors import DatadogError
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObject:
    """One object. `body` is its owned part; None where the list shows only that it exists, changed at `version`."""

    kind: ObjectKind
    id: str
    body: Body | None
    version: str | None = None
    text: str = ""
    """Where marks stand of objects that take no tags and whose body is not shown."""
    title: str = ""
    """Name of an object whose body is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that a look by lists shows."""

    objects: dict[ObjectKind, tuple[RemoteObject, ...]] = field(default_factory=dict)
    hidden: dict[ObjectKind, DatadogError] = field(default_factory=dict)
    """Kinds that could not be looked at, and why."""
    reporting: frozenset[str] = frozenset()
    """Metrics of ours that have reported of late."""

    def of(self, kind: ObjectKind) -> tuple[RemoteObject, ...]:
        """The objects of a kind."""
        return self.objects.get(kind, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """What to look for: the tag of everything of ours, the service of the metrics, the name of the notebook."""

    tag: str
    service: str
    notebook: str


WRAPPED = frozenset(
    {ObjectKind.METRIC_TAGS, ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE, ObjectKind.NOTEBOOK}
)
FIXED = {ObjectKind.METRIC_TAGS: "metric_type", ObjectKind.LOG_INDEX: "name"}


def owned(kind: ObjectKind, body: Body) -> Body:
    """What is compared and kept right: the attributes that can be changed."""
    found: Body = body["data"]["attributes"] if kind in WRAPPED else body
    return {name: value for name, value in found.items() if name != FIXED.get(kind)}


def update(kind: ObjectKind, identifier: str, body: Body) -> Body:
    """The body that changes an object into what `body` would have made."""
    if kind is ObjectKind.NOTEBOOK or kind not in WRAPPED:
        return owned(kind, body) if kind in FIXED else body
    data: dict[str, Any] = {
        "type": body["data"]["type"],
        "id": identifier,
        "attributes": owned(kind, body),
    }
    return {"data": data} if kind is ObjectKind.METRIC_TAGS else {"data": data, "meta": {}}

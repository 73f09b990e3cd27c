"""Values of the Datadog client: one remote object, the inventory of one pass, and the owned fields of a body.

Pure. Version 2 of the API wraps attributes. Names of indexes and types of metrics cannot be changed after the create.
"""

from dataclasses import dataclass, field
from typing import Any

from purpleflea_operator.datadog.client.errors import DatadogError
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteObject:
    """One object in Datadog.

    `body` contains its owned fields. It is None if the list shows only that the object was changed at `version`.
    """

    kind: ObjectKind
    id: str
    body: Body | None
    version: str | None = None
    text: str = ""
    """Description in which ownership tags are searched, if the object has no tags and its body is not listed."""
    title: str = ""
    """Name of the object, if its body is not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All objects that the list calls of one pass returned."""

    objects: dict[ObjectKind, tuple[RemoteObject, ...]] = field(default_factory=dict)
    hidden: dict[ObjectKind, DatadogError] = field(default_factory=dict)
    """Kinds that could not be listed, with the error."""
    reporting: frozenset[str] = frozenset()
    """Metrics of the service that have reported within the last 30 days."""

    def of(self, kind: ObjectKind) -> tuple[RemoteObject, ...]:
        """Return the objects of a kind."""
        return self.objects.get(kind, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Filters of the list calls: tag of managed objects, service of the metrics, name of the notebook."""

    tag: str
    service: str
    notebook: str


READABLE_KINDS = frozenset(
    {
        ObjectKind.MONITOR,
        ObjectKind.SLO,
        ObjectKind.DASHBOARD,
        ObjectKind.NOTEBOOK,
        ObjectKind.METRIC_TAGS,
    }
)
"""Kinds whose objects can be read by id, because their list may omit an object or a part of it."""
WRAPPED = frozenset(
    {ObjectKind.METRIC_TAGS, ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE, ObjectKind.NOTEBOOK}
)
IMMUTABLE_FIELD = {ObjectKind.METRIC_TAGS: "metric_type", ObjectKind.LOG_INDEX: "name"}


def owned_fields(kind: ObjectKind, body: Body) -> Body:
    """Return the fields that are compared and kept in sync: all attributes that can be changed."""
    attributes: Body = body["data"]["attributes"] if kind in WRAPPED else body
    return {name: value for name, value in attributes.items() if name != IMMUTABLE_FIELD.get(kind)}


def update_body(kind: ObjectKind, identifier: str, body: Body) -> Body:
    """Return the body of an update that has the same result as a create with `body`."""
    if kind is ObjectKind.LOG_INDEX:
        # Without the switch, Datadog keeps an index unlimited whose limit was disabled, and ignores daily_limit.
        return {"disable_daily_limit": False, **owned_fields(kind, body)}
    if kind is ObjectKind.NOTEBOOK or kind not in WRAPPED:
        return body
    data: dict[str, Any] = {
        "type": body["data"]["type"],
        "id": identifier,
        "attributes": owned_fields(kind, body),
    }
    return {"data": data} if kind is ObjectKind.METRIC_TAGS else {"data": data, "meta": {}}

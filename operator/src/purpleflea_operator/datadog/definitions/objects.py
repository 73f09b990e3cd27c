"""One object that Datadog should hold: its kind, its stable key, the body for the API, the objects it refers to.

A reference stands in the body as a token, because ids exist only after creation; `resolved` puts the ids in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from purpleflea_operator.datadog.definitions.parameters import Feature

Body = dict[str, Any]


class ObjectKind(StrEnum):
    """Kinds of objects, each with endpoints of its own."""

    MONITOR = "monitor"
    SLO = "slo"
    DASHBOARD = "dashboard"
    LOG_PIPELINE = "log-pipeline"
    LOG_INDEX = "log-index"
    LOG_INDEX_ORDER = "log-index-order"
    METRIC_TAGS = "metric-tags"
    SCANNER = "scanner"
    SCANNER_GROUP = "scanner-group"
    SCANNER_RULE = "scanner-rule"
    NOTEBOOK = "notebook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Another object, by kind and key."""

    kind: ObjectKind
    key: str

    @property
    def token(self) -> str:
        """What stands in a body until the id is known."""
        return f"<{self.kind}:{self.key}>"


ORGANISATION_SCANNER = Reference(kind=ObjectKind.SCANNER, key="organisation")
"""The one scanner configuration of an organisation: it exists already, its id is read from the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One object. `feature` is the choice it belongs to; without one it is always wanted."""

    kind: ObjectKind
    key: str
    body: Body
    references: tuple[Reference, ...] = ()
    feature: Feature | None = None

    @property
    def reference(self) -> Reference:
        """How other objects refer to this one."""
        return Reference(kind=self.kind, key=self.key)


def resolved(definition: Definition, ids: Mapping[Reference, str]) -> Body:
    """The body with ids in place of references. Raises KeyError where an id is missing."""
    found = {reference.token: ids[reference] for reference in definition.references}
    return {key: _resolved(value, found) for key, value in definition.body.items()}


def _resolved(value: Any, ids: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _with_ids(value, ids)
        case list():
            return [_resolved(item, ids) for item in value]
        case dict():
            return {key: _resolved(item, ids) for key, item in value.items()}
        case _:
            return value


def _with_ids(text: str, ids: Mapping[str, str]) -> str:
    for token, identifier in ids.items():
        text = text.replace(token, identifier)
    return text

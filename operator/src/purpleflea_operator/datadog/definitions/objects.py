"""Definition of one Datadog object: kind, stable key, request body, and references to other objects.

A reference is a token in the body, because an id exists only after the object is created. `resolved` replaces the
tokens by ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from purpleflea_operator.datadog.definitions.parameters import Feature

Body = dict[str, Any]


class ObjectKind(StrEnum):
    """Kinds of objects. Each kind has its own endpoints."""

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
    """Reference to another object by kind and key."""

    kind: ObjectKind
    key: str

    @property
    def token(self) -> str:
        """Text in a body that is replaced when the id is known."""
        return f"<{self.kind}:{self.key}>"


ORGANIZATION_SCANNER = Reference(kind=ObjectKind.SCANNER, key="organisation")
"""The scanner configuration of the organization. It always exists; its id is read from the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One object. An object without a `feature` is always wanted."""

    kind: ObjectKind
    key: str
    body: Body
    references: tuple[Reference, ...] = ()
    feature: Feature | None = None

    @property
    def reference(self) -> Reference:
        """Reference with which other objects refer to this object."""
        return Reference(kind=self.kind, key=self.key)


def resolved(definition: Definition, ids: Mapping[Reference, str]) -> Body:
    """Return the body with ids in place of references.

    Raises:
        KeyError: An id is missing.
    """
    tokens = {reference.token: ids[reference] for reference in definition.references}
    return {key: _resolved(value, tokens) for key, value in definition.body.items()}


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

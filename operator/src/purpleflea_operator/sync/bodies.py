"""Pure: what is wanted, and how what was found differs from it.

Only what we set is compared: Datadog adds defaults and ids, reorders tags, and leaves out what is empty.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from purpleflea_operator.datadog_api.found import Found
from purpleflea_operator.datadog_api.shapes import owned
from purpleflea_operator.observability.objects import (
    Body,
    Definition,
    Kind,
    Reference,
    resolved,
)
from purpleflea_operator.sync.marks import marked

UNORDERED = frozenset({"tags"})
SHOWN = 8
"""Most differences that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object that there should be: its definition, marked as ours."""

    definition: Definition

    @property
    def kind(self) -> Kind:
        return self.definition.kind

    @property
    def key(self) -> str:
        return self.definition.key

    def missing(self, ids: Mapping[Reference, str]) -> tuple[Reference, ...]:
        """The objects it refers to that have no id yet."""
        return tuple(item for item in self.definition.references if item not in ids)

    def body(self, ids: Mapping[Reference, str], found: Found | None = None) -> Body:
        """The body to send. Raises KeyError where an id is missing."""
        body = resolved(self.definition, ids)
        if self.kind is Kind.LOG_INDEX_ORDER and found is not None:
            # Datadog takes the order of all indexes or none: ours first, the others as they stand.
            first = body["index_names"]
            others = (found.body or {}).get("index_names") or ()
            body["index_names"] = [*first, *(name for name in others if name not in first)]
        return body


def wanted(definition: Definition, uid: str) -> Wanted:
    """A definition of the catalogue, to be made for the resource `uid`."""
    return Wanted(definition=replace(definition, body=marked(definition, uid)))


def digest(kind: Kind, body: Body) -> str:
    """A hash of the owned part of a body."""
    text = orjson.dumps(owned(kind, body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def differences(kind: Kind, body: Body, found: Body) -> tuple[str, ...]:
    """The fields of ours that are not what `body` says, as dotted paths."""
    return tuple(dict.fromkeys(_differences(owned(kind, body), found, "")))


def shown(paths: tuple[str, ...]) -> str:
    """Paths as people read them, a few of them."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            inside = f"{path}.{name}" if path else name
            if name not in theirs and _is_empty(value):
                continue
            if name in UNORDERED and _is_list(value) and _is_list(theirs.get(name)):
                if sorted(value) != sorted(theirs[name]):
                    yield inside
            else:
                yield from _differences(value, theirs.get(name), inside)
    elif _is_list(ours) and _is_list(theirs) and len(ours) == len(theirs):
        for position, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(mine, other, f"{path}[{position}]")
    elif ours != theirs and not (_is_empty(ours) and _is_empty(theirs)):
        yield path


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_empty(value: Any) -> bool:
    """Whether leaving it out says the same."""
    return value is None or value is False or value in ("", [], {})

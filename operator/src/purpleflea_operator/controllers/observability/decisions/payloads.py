"""Pure: what is wanted, and how what was found differs from it.

Only what we set is compared: Datadog adds defaults and ids, reorders tags, and leaves out what is empty.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import orjson

from purpleflea_operator.controllers.observability.decisions.ownership_tags import adopted, marked
from purpleflea_operator.datadog.client.models import RemoteObject, owned
from purpleflea_operator.datadog.definitions.objects import (
    Body,
    Definition,
    ObjectKind,
    Reference,
    resolved,
)

UNORDERED = frozenset({"tags"})
SHOWN = 8
"""Most differences that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object that there should be: its definition, marked as ours."""

    definition: Definition

    @property
    def kind(self) -> ObjectKind:
        return self.definition.kind

    @property
    def key(self) -> str:
        return self.definition.key

    def missing(self, ids: Mapping[Reference, str]) -> tuple[Reference, ...]:
        """The objects it refers to that have no id yet."""
        return tuple(item for item in self.definition.references if item not in ids)

    @property
    def name(self) -> str:
        """What people read as its name."""
        return name_of(owned(self.kind, self.definition.body))

    def body(self, ids: Mapping[Reference, str], *, was_there: bool = False) -> Body:
        """The body to send; `was_there`: it was adopted. Raises KeyError where an id is missing."""
        body = resolved(self.definition, ids)
        return adopted(self.kind, body) if was_there else body


def wanted(definition: Definition, uid: str) -> Wanted:
    """A definition of the catalogue, to be made for the resource `uid`."""
    return Wanted(definition=replace(definition, body=marked(definition, uid)))


def name_of(body: Body) -> str:
    """The name or title in the owned part of a body."""
    return str(body.get("name") or body.get("title"))


def ordered(body: Body, found: RemoteObject, managed: Collection[str]) -> Body:
    """The order of all indexes (Datadog takes no less), with ours before the first that could take its lines.

    What stands first and is `managed`, made for another resource, takes only the lines of that one: were ours put
    before it, the two resources would change places for ever.
    """
    (ours, *_) = body["index_names"]
    names = list((found.body or {}).get("index_names") or ())
    others = [name for name in names if name != ours]
    first = len(list(takewhile(lambda name: name in managed, others)))
    if ours in names and names.index(ours) <= first:
        return {**body, "index_names": names}
    return {**body, "index_names": [*others[:first], ours, *others[first:]]}


def digest(kind: ObjectKind, body: Body) -> str:
    """A hash of the owned part of a body."""
    text = orjson.dumps(owned(kind, body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def differences(kind: ObjectKind, body: Body, found: Body) -> tuple[str, ...]:
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

"""Pure: desired objects with their bodies, and the differences between a desired body and a remote one.

Only fields that the operator sets are compared, because Datadog adds defaults and ids, reorders tags, and omits empty
fields.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import orjson

from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    adopted_body,
    tagged_body,
)
from purpleflea_operator.datadog.client.models import RemoteObject, owned_fields
from purpleflea_operator.datadog.definitions.objects import (
    Body,
    Definition,
    ObjectKind,
    Reference,
    resolved,
)

UNORDERED = frozenset({"tags"})
MAX_PATHS = 8
"""Most differences that a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredObject:
    """One desired object: its definition with the ownership tags of the resource."""

    definition: Definition

    @property
    def kind(self) -> ObjectKind:
        return self.definition.kind

    @property
    def key(self) -> str:
        return self.definition.key

    def missing(self, ids: Mapping[Reference, str]) -> tuple[Reference, ...]:
        """Return the objects to which it refers and which have no id yet."""
        return tuple(item for item in self.definition.references if item not in ids)

    @property
    def name(self) -> str:
        """Name of the object in Datadog."""
        return name_of(owned_fields(self.kind, self.definition.body))

    def body(self, ids: Mapping[Reference, str], *, adopted: bool = False) -> Body:
        """Return the body to send. Raises KeyError if an id is missing."""
        body = resolved(self.definition, ids)
        return adopted_body(self.kind, body) if adopted else body


def desired_object(definition: Definition, uid: str) -> DesiredObject:
    """Return the desired object of a definition for the resource `uid`."""
    return DesiredObject(definition=replace(definition, body=tagged_body(definition, uid)))


def name_of(body: Body) -> str:
    """Return the name or title in the owned fields of a body."""
    return str(body.get("name") or body.get("title"))


def index_order(body: Body, remote: RemoteObject, managed: Collection[str]) -> Body:
    """Return the sequence of all log indexes, which Datadog requires, with the own index before unmanaged indexes.

    Leading `managed` indexes belong to other resources and receive only the logs of those resources. They stay before
    the own index, because otherwise two resources would swap their indexes forever.
    """
    (own, *_) = body["index_names"]
    names = list((remote.body or {}).get("index_names") or ())
    others = [name for name in names if name != own]
    position = len(list(takewhile(lambda name: name in managed, others)))
    if own in names and names.index(own) <= position:
        return {**body, "index_names": names}
    return {**body, "index_names": [*others[:position], own, *others[position:]]}


def digest(kind: ObjectKind, body: Body) -> str:
    """Return a hash of the owned fields of a body."""
    text = orjson.dumps(owned_fields(kind, body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def differences(kind: ObjectKind, body: Body, remote_body: Body) -> tuple[str, ...]:
    """Return the owned fields that differ from `body`, as dotted paths."""
    return tuple(dict.fromkeys(_differences(owned_fields(kind, body), remote_body, "")))


def joined_paths(paths: tuple[str, ...]) -> str:
    """Return the first paths as text, with the number of the others."""
    more = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
    return ", ".join(paths[:MAX_PATHS]) + more


def _differences(own: Any, remote: Any, path: str) -> Iterator[str]:
    if isinstance(own, dict) and isinstance(remote, dict):
        for name, value in own.items():
            inside = f"{path}.{name}" if path else name
            if name not in remote and _is_empty(value):
                continue
            if name in UNORDERED and _is_list(value) and _is_list(remote.get(name)):
                if sorted(value) != sorted(remote[name]):
                    yield inside
            else:
                yield from _differences(value, remote.get(name), inside)
    elif _is_list(own) and _is_list(remote) and len(own) == len(remote):
        for position, (own_item, remote_item) in enumerate(zip(own, remote, strict=True)):
            yield from _differences(own_item, remote_item, f"{path}[{position}]")
    elif own != remote and not (_is_empty(own) and _is_empty(remote)):
        yield path


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_empty(value: Any) -> bool:
    """Return True if the value has the same meaning as an omitted field."""
    return value is None or value is False or value in ("", [], {})

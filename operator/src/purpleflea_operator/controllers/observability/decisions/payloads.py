"""Pure: desired objects with their bodies, and the differences between a desired body and a remote one.

Only fields that the operator sets are compared, because Datadog adds defaults and ids. Both bodies are compared in the
form of `datadog.definitions.normalization`, because Datadog also changes fields of the request.
"""

import hashlib
import re
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
from purpleflea_operator.datadog.definitions.normalization import normal_form
from purpleflea_operator.datadog.definitions.objects import (
    Body,
    Definition,
    ObjectKind,
    Reference,
    resolved,
)

_POSITION = re.compile(r"\[\d+\]")
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


KEPT_FIELDS = {
    ObjectKind.LOG_INDEX: (
        "exclusion_filters",
        "daily_limit_reset",
        "daily_limit_warning_threshold_percentage",
        "num_flex_logs_retention_days",
    ),
    ObjectKind.DASHBOARD: (
        "notify_list",
        "restricted_roles",
        "template_variable_presets",
        "tags",
    ),
}
"""Fields that only users set. An update replaces the whole object, so it has to contain them."""


def with_kept_fields(kind: ObjectKind, body: Body, remote: RemoteObject) -> Body:
    """Return the body of an update with the fields that users have set in Datadog."""
    return _kept_fields(kind, remote) | body


def kept_fields_text(kind: ObjectKind, remote: RemoteObject) -> str:
    """Return which settings of a log index users have added, empty for other kinds. They affect which logs are kept."""
    names = _kept_fields(kind, remote) if kind is ObjectKind.LOG_INDEX else {}
    return f"kept, although not in the spec: {', '.join(names)}" if names else ""


def _kept_fields(kind: ObjectKind, remote: RemoteObject) -> Body:
    body = remote.body or {}
    return {name: body[name] for name in KEPT_FIELDS.get(kind, ()) if body.get(name)}


def digest(kind: ObjectKind, body: Body) -> str:
    """Return a hash of the owned fields of a body."""
    text = orjson.dumps(owned_fields(kind, body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def differences(kind: ObjectKind, body: Body, remote_body: Body) -> tuple[str, ...]:
    """Return the owned fields that differ from `body` in the normal form, as dotted paths."""
    paths = _Comparison(kind).of_fields(owned_fields(kind, body), remote_body, "")
    return tuple(dict.fromkeys(paths))


def joined_paths(paths: tuple[str, ...]) -> str:
    """Return the first paths as text, with the number of the others."""
    more = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
    return ", ".join(paths[:MAX_PATHS]) + more


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Comparison of two bodies of one kind."""

    kind: ObjectKind

    def of_fields(self, own: Body, remote: Body, path: str) -> Iterator[str]:
        """Yield the paths of the fields of `own` that differ."""
        for name, value in own.items():
            yield from self._of_values(value, remote.get(name), f"{path}.{name}" if path else name)

    def _of_values(self, own: Any, remote: Any, path: str) -> Iterator[str]:
        field = _POSITION.sub("", path)
        own, remote = (normal_form(self.kind, field, value) for value in (own, remote))
        if isinstance(own, dict) and isinstance(remote, dict):
            yield from self.of_fields(own, remote, path)
        elif isinstance(own, dict) and remote is None:
            yield from [path] if any(self.of_fields(own, {}, path)) else ()
        elif _are_objects(own) and _are_objects(remote) and len(own) == len(remote):
            for position, (own_item, remote_item) in enumerate(zip(own, remote, strict=True)):
                yield from self._of_values(own_item, remote_item, f"{path}[{position}]")
        elif own != remote:
            yield path


def _are_objects(value: Any) -> bool:
    """Return True for a list of objects. Lists of texts are compared as a whole, because they may be sorted."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)

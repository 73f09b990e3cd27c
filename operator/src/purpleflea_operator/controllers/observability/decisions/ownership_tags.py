"""Pure: ownership tags, which identify the resource that an object in Datadog belongs to.

They are tags or, for kinds without tags, a line of text. Metric configurations and the index order have no place for
them, so for these kinds the status is the only evidence.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import Body, Definition, ObjectKind

MANAGED = f"managed-by:{kubernetes.MANAGED_BY}"
UID = "purpleflea-uid"
OBJECT = "purpleflea-object"
ADOPTED = "purpleflea-adopted:true"
"""Tag of objects that existed before they were managed. It is set in the same request as the other ownership tags, so
that neither a crash nor a lost status allows the operator to delete an object that another user created."""
KINDS_WITH_TAGS = frozenset(
    {ObjectKind.MONITOR, ObjectKind.SLO, ObjectKind.LOG_PIPELINE, ObjectKind.LOG_INDEX}
)
KINDS_WITH_DESCRIPTION = frozenset(
    {ObjectKind.DASHBOARD, ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE}
)
KINDS_WITHOUT_OWNERSHIP_TAGS = frozenset(
    {ObjectKind.METRIC_TAGS, ObjectKind.LOG_INDEX_ORDER, ObjectKind.SCANNER}
)
"""Kinds that have neither tags nor a text for them."""

_LINE = re.compile(rf"{UID}:(?P<uid>[-A-Za-z0-9]+) {OBJECT}:(?P<key>[-.a-z0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTag:
    """Uid of the resource for which an object was created, and key of the object in the catalog.

    `adopted` is True if the object existed before it was managed.
    """

    uid: str
    key: str
    adopted: bool = False


def tagged_body(definition: Definition, uid: str) -> Body:
    """Return the body of the definition with the ownership tags of the resource `uid`."""
    body: Body = copy.deepcopy(definition.body)
    tags = [MANAGED, f"{UID}:{uid}", f"{OBJECT}:{definition.key}"]
    line = f"Managed by {kubernetes.MANAGED_BY}, {' '.join(tags[1:])}"
    if definition.kind in KINDS_WITH_TAGS:
        body["tags"] = [*body.get("tags", ()), *tags]
    elif definition.kind in KINDS_WITH_DESCRIPTION:
        owner = body if definition.kind is ObjectKind.DASHBOARD else body["data"]["attributes"]
        owner["description"] = f"{owner.get('description', '')}\n{line}".strip()
    elif definition.kind is ObjectKind.NOTEBOOK:
        first = body["data"]["attributes"]["cells"][0]["attributes"]["definition"]
        first["text"] = f"{first['text']}\n\n{line}"
    return body


def adopted_body(kind: ObjectKind, body: Body) -> Body:
    """Return a tagged body with the tag for adopted objects, if its kind has tags."""
    return {**body, "tags": [*body["tags"], ADOPTED]} if kind in KINDS_WITH_TAGS else body


def ownership_tag(remote: RemoteObject) -> OwnershipTag | None:
    """Return the ownership tags of an object, None if it has none or only a part of them."""
    if remote.body is not None and remote.kind in KINDS_WITH_TAGS:
        return _from_tags(remote.body.get("tags") or ())
    match = _LINE.search("\n".join(_texts(remote)))
    return OwnershipTag(uid=match["uid"], key=match["key"]) if match else None


def _from_tags(tags: Any) -> OwnershipTag | None:
    values = dict(tag.partition(":")[::2] for tag in tags)
    if UID not in values or OBJECT not in values:
        return None
    return OwnershipTag(uid=values[UID], key=values[OBJECT], adopted=ADOPTED in tags)


def _texts(remote: RemoteObject) -> Iterator[str]:
    yield remote.text
    body = remote.body or {}
    yield body.get("description") or ""
    for cell in body.get("cells") or ():
        yield (cell.get("attributes", {}).get("definition") or {}).get("text") or ""

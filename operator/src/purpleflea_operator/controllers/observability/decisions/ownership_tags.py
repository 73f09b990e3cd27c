"""Pure: whose an object in Datadog is. Every object of ours says so itself, by tags or in a line of text.

Metric configurations and the order of indexes can say nothing: for them, the status is the only proof.
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
"""On what was there before us. It goes on in the same request as the mark, so that no crash and no lost status makes
a stranger's object ours to delete."""
TAGGED = frozenset(
    {ObjectKind.MONITOR, ObjectKind.SLO, ObjectKind.LOG_PIPELINE, ObjectKind.LOG_INDEX}
)
DESCRIBED = frozenset({ObjectKind.DASHBOARD, ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE})
UNMARKED = frozenset({ObjectKind.METRIC_TAGS, ObjectKind.LOG_INDEX_ORDER, ObjectKind.SCANNER})

_LINE = re.compile(rf"{UID}:(?P<uid>[-A-Za-z0-9]+) {OBJECT}:(?P<key>[-.a-z0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTag:
    """The uid of the resource an object was made for, and the object's key in the catalogue.

    `adopted`: it was there before.
    """

    uid: str
    key: str
    adopted: bool = False


def marked(definition: Definition, uid: str) -> Body:
    """The definition's body with the mark of the resource `uid`."""
    body: Body = copy.deepcopy(definition.body)
    tags = [MANAGED, f"{UID}:{uid}", f"{OBJECT}:{definition.key}"]
    line = f"Managed by {kubernetes.MANAGED_BY}, {' '.join(tags[1:])}"
    if definition.kind in TAGGED:
        body["tags"] = [*body.get("tags", ()), *tags]
    elif definition.kind in DESCRIBED:
        owner = body if definition.kind is ObjectKind.DASHBOARD else body["data"]["attributes"]
        owner["description"] = f"{owner.get('description', '')}\n{line}".strip()
    elif definition.kind is ObjectKind.NOTEBOOK:
        first = body["data"]["attributes"]["cells"][0]["attributes"]["definition"]
        first["text"] = f"{first['text']}\n\n{line}"
    return body


def adopted(kind: ObjectKind, body: Body) -> Body:
    """A marked body that also says that the object was there before us, where its kind can say so."""
    return {**body, "tags": [*body["tags"], ADOPTED]} if kind in TAGGED else body


def mark_of(found: RemoteObject) -> OwnershipTag | None:
    """The mark that an object carries."""
    if found.body is not None and found.kind in TAGGED:
        return _of_tags(found.body.get("tags") or ())
    matched = _LINE.search("\n".join(_texts(found)))
    return OwnershipTag(uid=matched["uid"], key=matched["key"]) if matched else None


def _of_tags(tags: Any) -> OwnershipTag | None:
    values = dict(tag.partition(":")[::2] for tag in tags)
    if UID not in values or OBJECT not in values:
        return None
    return OwnershipTag(uid=values[UID], key=values[OBJECT], adopted=ADOPTED in tags)


def _texts(found: RemoteObject) -> Iterator[str]:
    yield found.text
    body = found.body or {}
    yield body.get("description") or ""
    for cell in body.get("cells") or ():
        yield (cell.get("attributes", {}).get("definition") or {}).get("text") or ""

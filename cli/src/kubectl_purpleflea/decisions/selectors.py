"""Label selectors of the command line, as the fields of a PurpleFleaHalt, and the agents that they select. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.objects import (
    Manifest,
    items,
    labels_of,
    mapping,
    name_of,
    namespace_of,
    text,
)
from purpleflea_contract import kubernetes

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"^(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUALITY = re.compile(rf"^(?P<key>{_KEY})\s*(?P<operator>==?|!=)\s*(?P<value>{_VALUE})$")
_EXISTENCE = re.compile(rf"^(?P<not>!?)\s*(?P<key>{_KEY})$")


class SelectorError(ValueError):
    """A label selector cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The agents that a halt selects."""

    names: tuple[str, ...] = ()
    labels: str = ""
    """Label selector as kubectl reads it, such as desk=fx,tier!=test."""
    is_cluster: bool = False
    """True selects in all namespaces that the operator watches."""

    def selector(self) -> dict[str, Any]:
        """Return spec.selector.

        Raises:
            SelectorError: The label selector cannot be read.
        """
        found: dict[str, Any] = {"scope": "Cluster"} if self.is_cluster else {}
        if self.names:
            found["names"] = list(dict.fromkeys(self.names))
        return {**found, **_fields(self.labels)}


def _fields(selector: str) -> dict[str, Any]:
    equal: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for part in _parts(selector):
        item = _requirement(part)
        key, values = item["key"], item.get("values", [])
        is_plain = item["operator"] == "In" and len(values) == 1 and "(" not in part
        if is_plain and equal.get(key, values[0]) == values[0]:
            equal[key] = values[0]
        else:
            expressions.append(item)
    found: dict[str, Any] = {}
    if equal:
        found["matchLabels"] = equal
    if expressions:
        found["matchExpressions"] = expressions
    return found


def _parts(selector: str) -> list[str]:
    """Return the requirements of a selector. A comma inside parentheses does not separate."""
    if not selector.strip():
        return []
    return [part.strip() for part in re.split(r",(?![^()]*\))", selector)]


def _requirement(part: str) -> dict[str, Any]:
    if match := _SET.match(part):
        values = [value.strip() for value in match["values"].split(",")]
        if all(re.fullmatch(_VALUE, value) for value in values) and any(values):
            operator = "In" if match["operator"] == "in" else "NotIn"
            return {"key": match["key"], "operator": operator, "values": values}
    elif match := _EQUALITY.match(part):
        operator = "NotIn" if match["operator"] == "!=" else "In"
        return {"key": match["key"], "operator": operator, "values": [match["value"]]}
    elif match := _EXISTENCE.match(part):
        return {"key": match["key"], "operator": "DoesNotExist" if match["not"] else "Exists"}
    text_of_error = (
        f"{part!r} is not a requirement on a label, such as desk=fx or 'desk in (fx,crypto)'"
    )
    raise SelectorError(text_of_error)


def selects(selector: Mapping[str, Any], namespace: str, agent: Manifest) -> bool:
    """Return whether spec.selector of a halt in a namespace selects an agent."""
    is_cluster = selector.get("scope") == "Cluster"
    namespaces, names = selector.get("namespaces"), selector.get("names")
    if not is_cluster and namespace_of(agent) != namespace:
        return False
    if is_cluster and namespaces and namespace_of(agent) not in namespaces:
        return False
    if names and name_of(agent) not in names:
        return False
    labels = labels_of(agent)
    # No tenant may avoid a halt with labels that the operator does not keep.
    return len(labels) > kubernetes.MAX_AGENT_LABELS or matches(selector, labels)


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether matchLabels and matchExpressions of a selector match labels."""
    equal = mapping(selector.get("matchLabels"))
    if any(labels.get(key) != value for key, value in equal.items()):
        return False
    return all(_is_met(item, labels) for item in items(selector.get("matchExpressions")))


def _is_met(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = text(item.get("key")), item.get("values") or []
    match item.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "DoesNotExist":
            return key not in labels
        case _:
            return key in labels

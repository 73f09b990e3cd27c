"""Label and field selectors, as predicates for objects."""

import re
from collections.abc import Callable, Mapping

from support.apiserver.errors import ApiError
from support.apiserver.kinds import Obj

Selects = Callable[[Obj], bool]
_REQUIREMENT = re.compile(
    r"\s*(?:"
    r"!\s*(?P<absent>[\w./-]+)"
    r"|(?P<set_key>[\w./-]+)\s+(?P<set_op>in|notin)\s*\((?P<values>[^)]*)\)"
    r"|(?P<key>[\w./-]+)\s*(?P<op>==|=|!=)\s*(?P<value>[\w./-]*)"
    r"|(?P<present>[\w./-]+)"
    r")\s*(?:,|$)"
)


def everything(obj: Obj) -> bool:
    return True


def selector(query: Mapping[str, str]) -> Selects:
    """Return the predicate for the label selector and the field selector of a request."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not labels and not fields:
        return everything
    by_label, by_field = label_selector(labels), field_selector(fields)
    return lambda obj: by_label(obj) and by_field(obj)


def label_selector(text: str) -> Selects:
    if not text.strip():
        return everything
    requirements = []
    position = 0
    while position < len(text):
        found = _REQUIREMENT.match(text, position)
        if found is None or found.end() == position:
            raise ApiError(400, f"unable to parse requirement: {text[position:]!r}")
        requirements.append(_requirement(found))
        position = found.end()
    return lambda obj: all(holds(obj["metadata"].get("labels") or {}) for holds in requirements)


def _requirement(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    if key := found["absent"]:
        return lambda labels: key not in labels
    if key := found["present"]:
        return lambda labels: key in labels
    if key := found["set_key"]:
        values = {value.strip() for value in found["values"].split(",")}
        if found["set_op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    key, value = found["key"], found["value"]
    if found["op"] == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def field_selector(text: str) -> Selects:
    """Return the predicate for a field selector. Any field is supported; a real server supports fewer."""
    if not text.strip():
        return everything
    terms = [_field_term(part) for part in text.split(",")]
    return lambda obj: all(holds(obj) for holds in terms)


def _field_term(part: str) -> Selects:
    name, equal, value = part.partition("!=")
    wanted = not equal
    if wanted:
        name, equal, value = part.replace("==", "=").partition("=")
    if not equal:
        raise ApiError(400, f"invalid field selector: {part!r}")
    path, expected = name.strip().split("."), value.strip()
    return lambda obj: (_text_at(obj, path) == expected) is wanted


def _text_at(obj: Obj, path: list[str]) -> str:
    value: object = obj
    for name in path:
        value = value.get(name, "") if isinstance(value, dict) else ""
    return str(value)

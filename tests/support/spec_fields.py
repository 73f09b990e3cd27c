"""Every field of the spec, and two specs that differ only in this field. The values come from the schema.

A list has one item, and an optional object exists in both specs, so that only the field differs and never its parent.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen.structural_schema import Schema, structural

SPEC = structural(AgentSpec, include_free_form=True)
Path = tuple[str, ...]
"""Names of fields; "[]" is the item of a list."""

_WORDS = (
    *("alpha", "beta", "10s", "20s", "0.5", "0.7", "BTC-USD", "ETH-USD", "/x", "/y", "100m", "200m"),
    *("https://a.example", "https://b.example", "10.0.0.0/8", "10.1.0.0/16", "1.0", "2.0"),
    *("2026-01-31T12:00:00Z", "2026-02-01T12:00:00Z"),
    *("sha256:" + "ab" * 32, "sha256:" + "cd" * 32),
)  # fmt: skip
_FULL: dict[str, Any] = {
    # Fields that enable other fields, and required fields without a default.
    "strategy": "momentum",
    "markets": ["BTC-USD"],
    "api": {"keySecretRef": {"name": "purpleflea-api-key"}},
    "datadog": {"check": {"enabled": True}, "openMetrics": {"enabled": True}},
}


def paths() -> list[Path]:
    """Return all fields with a value."""
    return list(_leaves(SPEC, ()))


def name(path: Path) -> str:
    """Return the path as users write it, such as pod.env[].name."""
    return ".".join(path).replace(".[]", "[]")


def values(path: Path) -> list[Any]:
    """Return two values of the field, or one if it allows only one."""
    return _values(_schema(path))


def spec_with(path: Path, value: Any) -> dict[str, Any]:
    """Return a spec in which the field has this value."""
    spec = deepcopy(_FULL)
    _put(SPEC, spec, path, value)
    return spec


def full_spec() -> dict[str, Any]:
    """Return a spec in which every field has a value, including fields that exclude each other."""
    spec = deepcopy(_FULL)
    for path in paths():
        _put(SPEC, spec, path, values(path)[-1])
    return spec


def _leaves(node: Schema, path: Path) -> Iterator[Path]:
    if "properties" in node:
        for key, child in node["properties"].items():
            yield from _leaves(child, (*path, key))
    elif "properties" in node.get("items", {}):
        yield from _leaves(node["items"], (*path, "[]"))
    else:
        yield path


def _schema(path: Path) -> Schema:
    node = SPEC
    for key in path:
        node = node["items"] if key == "[]" else node["properties"][key]
    return node


def _values(node: Schema) -> list[Any]:
    if "enum" in node:
        return list(node["enum"][:2])
    if isinstance(node.get("additionalProperties"), Mapping):
        return [{"alpha": value} for value in _values(node["additionalProperties"])]
    match node.get("type"):
        case "boolean":
            return [False, True]
        case "integer":
            return [node.get("minimum", 0) + 1, node.get("minimum", 0) + 2]
        case "array":
            return [[value] for value in _values(node["items"])]
    wanted = re.compile(node.get("pattern", ""))
    return [word for word in _WORDS if wanted.search(word) and len(word) <= node["maxLength"]][:2]


def _put(node: Schema, into: dict[str, Any], path: Path, value: Any) -> None:
    key, *rest = path
    child = node["properties"][key]
    if rest[:1] == ["[]"]:
        child, rest = child["items"], rest[1:]
        inner = into.setdefault(key, [_least(child)])[0]
    elif rest:
        inner = into.setdefault(key, _least(child))
    if not rest:
        into[key] = value
    else:
        _put(child, inner, tuple(rest), value)


def _least(node: Schema) -> dict[str, Any]:
    """Return an object with only its required fields."""
    required = {key: node["properties"][key] for key in node.get("required", ())}
    return {
        key: _least(child)
        if "properties" in child
        else [_least(child["items"])]
        if "properties" in child.get("items", {})
        else _values(child)[0]
        for key, child in required.items()
    }

"""Validation of request bodies against the API's schema: known fields, required fields, types, enum values. Pure.

shapes.json is generated from the models of Datadog's API client (tests/support/datadog_shapes.py). The real API
accepts some unknown fields; here they are errors, because an unknown field is a mistake in this project.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

_PRIMITIVES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "datetime": (str, int),
    "date": (str,),
    "UUID": (str,),
    "dict": (dict,),
    "list": (list,),
    "null": (type(None),),
}

Reference = str | list[Any]


def faults(body: Any, shape: str, *, partial: bool = False) -> list[str]:
    """Return the faults of the body, each with its path. If `partial` is set, required fields of the outermost object
    may be missing.
    """
    problems = list(_faults(body, shape, ""))
    if partial:
        required = {f"{name}: required" for name in _shapes()[shape].get("required", ())}
        problems = [fault for fault in problems if fault not in required]
    return problems


@cache
def _shapes() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("shapes.json").read_text()
    shapes: dict[str, Any] = json.loads(text)
    return shapes


def _faults(value: Any, reference: Reference, path: str) -> Iterator[str]:
    if isinstance(reference, list):
        yield from _compound(value, reference, path)
    elif reference in _PRIMITIVES:
        if not isinstance(value, _PRIMITIVES[reference]) or (
            isinstance(value, bool) and reference in ("int", "float")
        ):
            yield f"{path or 'body'}: {_shown(value)} is not of type {reference}"
    else:
        yield from _named(value, _shapes()[reference], path)


def _compound(value: Any, reference: list[Any], path: str) -> Iterator[str]:
    kind, *inner = reference
    if kind == "any":
        yield from _best(value, inner, path)
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path}: {_shown(value)} is not a list"
            return
        for index, item in enumerate(value):
            yield from _faults(item, inner[0], f"{path}[{index}]")
    elif not isinstance(value, dict):
        yield f"{path}: {_shown(value)} is not an object"
    else:
        for name, item in value.items():
            yield from _faults(item, inner[0], _joined(path, name))


def _named(value: Any, shape: Mapping[str, Any], path: str) -> Iterator[str]:
    if value is None and shape.get("nullable"):
        return
    if "one" in shape:
        yield from _best(value, shape["one"], path)
    elif "enum" in shape:
        if value not in shape["enum"] or isinstance(value, bool):
            yield f"{path}: {_shown(value)} is not one of {shape['enum']}"
    elif "value" in shape:
        yield from _faults(value, shape["value"], path)
    elif not isinstance(value, dict):
        yield f"{path or 'body'}: {_shown(value)} is not an object"
    else:
        yield from _fields(value, shape, path)


def _fields(value: Mapping[str, Any], shape: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.get("required", ()):
        if name not in value:
            yield f"{_joined(path, name)}: required"
    for name, item in value.items():
        if name in shape["fields"]:
            yield from _faults(item, shape["fields"][name], _joined(path, name))
        else:
            yield f"{_joined(path, name)}: unknown field"


def _best(value: Any, references: list[Reference], path: str) -> Iterator[str]:
    """Yield the faults of the best matching shape; a shape with the right `type` is preferred."""
    tried = []
    for reference in references:
        problems = list(_faults(value, reference, path))
        if not problems:
            return
        wrong_kind = any(fault.startswith(f"{_joined(path, 'type')}:") for fault in problems)
        wrong_form = any(fault.startswith(f"{path or 'body'}:") for fault in problems)
        tried.append((wrong_form, wrong_kind, len(problems), problems))
    yield from min(tried, key=lambda candidate: candidate[:3])[3]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."

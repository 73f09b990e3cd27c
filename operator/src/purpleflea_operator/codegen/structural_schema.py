"""pydantic models -> structural schema of a CustomResourceDefinition (apiextensions.k8s.io/v1).

JSON Schema as pydantic writes it is refused by the API server ($ref, null, const, exclusive bounds, titles ...). This
module knows the differences and nothing of our fields.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

FREE_FORM = "x-kubernetes-preserve-unknown-fields"

KEPT = frozenset(
    {
        "type",
        "format",
        "description",
        "default",
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "maxProperties",
        "required",
        "x-kubernetes-validations",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-int-or-string",
        FREE_FORM,
    }
)
IGNORED = frozenset({"title", "$defs", "additionalProperties", "uniqueItems", "propertyNames"})
HANDLED = frozenset({"$ref", "anyOf", "allOf", "const", "properties", "items", "patternProperties"})


class UnsupportedSchemaError(ValueError):
    """A model uses something that a structural schema cannot say; the message names the path and the keyword."""


def structural(model: type[BaseModel], *, in_full: bool = False) -> Schema:
    """The structural schema of `model`, with camelCase names and every $ref inlined.

    Fields marked as free of form say nothing of what is in them (it would be most of the CRD), save `in_full`.

    Raises:
        UnsupportedSchemaError: A field cannot be expressed; the message names it.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    if in_full:
        source = _without_free_form(source)
    return _converted(source, source.get("$defs", {}), path=model.__name__)


def _without_free_form(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _without_free_form(item) for key, item in node.items() if key != FREE_FORM}
    return [_without_free_form(item) for item in node] if isinstance(node, list) else node


def _converted(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    node = _resolved(node, definitions, path)
    unknown = node.keys() - KEPT - IGNORED - HANDLED
    if unknown:
        raise UnsupportedSchemaError(f"{path}: {', '.join(sorted(unknown))} is not structural")
    schema: Schema = {key: value for key, value in node.items() if key in KEPT}
    if "description" in schema:
        schema["description"] = " ".join(str(schema["description"]).split())
    if "const" in node:
        schema["enum"] = [node["const"]]
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    if schema.get(FREE_FORM):
        return {key: schema[key] for key in ("type", "description", FREE_FORM) if key in schema}
    if "properties" in node:
        schema["properties"] = {
            name: _converted(child, definitions, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    if "items" in node:
        schema["items"] = _converted(node["items"], definitions, f"{path}[]")
    values = _values_of_map(node)
    if values is not None:
        schema["additionalProperties"] = _converted(values, definitions, f"{path}{{}}")
    if schema.get("properties") and "default" in schema:
        schema["default"] = _default_of_object(schema)
    if schema.get("x-kubernetes-int-or-string"):
        # Such a field must have no type; its pattern is applied to strings only.
        schema.pop("type", None)
    return schema


def _default_of_object(schema: Schema) -> Schema:
    """{} where the defaults of the fields inside say it all; in full where it differs, or where there are rules.

    The API server holds a default against the rules of its object before it fills in the fields inside.
    """
    inner = _filled_in(schema)
    in_full = {**inner, **_without_null(schema["default"])}
    return in_full if in_full != inner or "x-kubernetes-validations" in schema else {}


def _filled_in(schema: Schema) -> Schema:
    """What the API server makes of {}."""
    return {
        name: _filled_in(child)
        if child["default"] == {} and "properties" in child
        else child["default"]
        for name, child in schema["properties"].items()
        if "default" in child
    }


def _without_null(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _without_null(item) for key, item in value.items() if item is not None}


def _values_of_map(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of the values of a map. A structural schema cannot say what keys look like: the models do."""
    for found in node.get("patternProperties", {}).values():
        return dict(found)
    values = node.get("additionalProperties")
    return values if isinstance(values, Mapping) else None


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    """`node` without $ref, allOf of one, and "or null"; the node's own keywords win over the definition's."""
    own = {key: value for key, value in node.items() if key not in {"$ref", "allOf", "anyOf"}}
    if "$ref" in node:
        target = definitions[str(node["$ref"]).removeprefix("#/$defs/")]
        return {**_resolved(target, definitions, path), **own}
    for keyword in ("allOf", "anyOf"):
        if keyword in node:
            variants = [variant for variant in node[keyword] if variant.get("type") != "null"]
            if len(variants) != 1:
                raise UnsupportedSchemaError(f"{path}: {keyword} of {len(variants)} variants")
            return {**_resolved(variants[0], definitions, path), **own}
    return own

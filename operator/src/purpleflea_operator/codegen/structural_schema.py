"""Convert pydantic models to the structural schema of a CustomResourceDefinition (apiextensions.k8s.io/v1).

The API server rejects the JSON Schema of pydantic, because of $ref, null, const, exclusive bounds and titles. This
module handles the differences. It must not depend on the fields of a certain model.
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


BOUNDS = frozenset(
    {
        *("type", "maxLength", "maxItems", "maxProperties"),
        *("properties", "items", "additionalProperties", "x-kubernetes-int-or-string"),
    }
)
"""Keywords that limit the size and the depth of a value."""


class UnsupportedSchemaError(ValueError):
    """A model uses a keyword that a structural schema does not support. The message has the path and the keyword."""


def structural(model: type[BaseModel], *, include_free_form: bool = False) -> Schema:
    """Return the structural schema of `model`, with camelCase names and every $ref inlined.

    Of the inner fields of free-form fields, only the bounds are included, because their descriptions and rules would be
    most of the CRD. They limit the size and the depth of an object, whatever a user writes. `include_free_form` adds
    the rest.

    Raises:
        UnsupportedSchemaError: A field uses a keyword that is not supported.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    if include_free_form:
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
        checked = {key: value for key, value in node.items() if key != FREE_FORM}
        bounds = _bounds(_converted(checked, definitions, path))
        return {key: schema[key] for key in ("description",) if key in schema} | bounds
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
        # Such a field must not have a type. Its pattern applies to strings only.
        schema.pop("type", None)
    return schema


def _bounds(schema: Schema) -> Schema:
    """Return a schema with only the keywords that limit a value."""
    found: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: _bounds(child) for name, child in value.items()}
        elif key in ("items", "additionalProperties"):
            found[key] = _bounds(value)
        elif key == "enum":
            found["maxLength"] = max(map(len, value))
        elif key in BOUNDS:
            found[key] = value
    return found


def _default_of_object(schema: Schema) -> Schema:
    """Return the default of an object: {} if the defaults of its fields are sufficient, else all values.

    All values are also needed if the object has CEL rules, because the API server checks a default against the rules
    before it adds the defaults of the inner fields.
    """
    inner = _defaults_of_fields(schema)
    complete = {**inner, **_without_null(schema["default"])}
    return complete if complete != inner or "x-kubernetes-validations" in schema else {}


def _defaults_of_fields(schema: Schema) -> Schema:
    """Return the object that the API server creates from {}."""
    return {
        name: _defaults_of_fields(child)
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
    """Return the schema of the values of a map. A structural schema cannot restrict keys, so the models do it."""
    for schema in node.get("patternProperties", {}).values():
        return dict(schema)
    values = node.get("additionalProperties")
    return values if isinstance(values, Mapping) else None


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    """Return `node` without $ref, allOf of one schema, and "or null". Keywords of the node replace those of the
    definition."""
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

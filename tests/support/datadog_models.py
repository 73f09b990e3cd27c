"""Datadog's own API models as a linter: they accept unknown keys and values silently, so this walk detects both."""

from collections.abc import Iterator
from typing import Any

from datadog_api_client import Configuration
from datadog_api_client.model_utils import ModelComposed, OpenApiModel, validate_and_convert_types


def faults(body: Any, model: type[OpenApiModel]) -> list[str]:
    """Return keys, enum values and variants in the body that the model does not have. Raises if a required key is
    missing.
    """
    instance = validate_and_convert_types(
        body, (model,), ["body"], True, True, Configuration(host="http://127.0.0.1")
    )
    return list(_walk(instance, model.__name__))


def _walk(value: Any, path: str) -> Iterator[str]:
    match value:
        case OpenApiModel():
            yield from _walk_model(value, path)
        case dict():
            for key, item in value.items():
                yield from _walk(item, f"{path}.{key}")
        case list() | tuple():
            for position, item in enumerate(value):
                yield from _walk(item, f"{path}[{position}]")


def _walk_model(value: OpenApiModel, path: str) -> Iterator[str]:
    if value._unparsed or type(value).__name__ == "UnparsedObject":
        yield f"{path}: unparsed {value}"
        return
    store = getattr(value, "_data_store", {})
    known = {} if isinstance(value, ModelComposed) else value.openapi_types
    for key, item in store.items():
        if known and key not in known:
            yield f"{path}.{key}: unknown to {type(value).__name__}"
        yield from _walk(item, f"{path}.{key}")
    if isinstance(value, ModelComposed):
        for part in value._composed_instances:
            yield from _walk(part, path)

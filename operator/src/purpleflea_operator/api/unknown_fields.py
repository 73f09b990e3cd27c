"""Fields of a spec that this version of the operator does not have, because the CRD is newer than the operator. Pure.

The API server removes fields that the CRD does not have, so a field that reaches the operator in a structural part of
the spec is one of a newer version, and may be there only because of its default. In a free-form part, which the API
server does not check, it is a mistake of the user.
"""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from purpleflea_operator.api.types import FREE_FORM

(_FREE_FORM_KEY,) = FREE_FORM


def newer_fields(model: type[BaseModel], error: ValidationError) -> tuple[str, ...]:
    """Return the paths of the unknown fields if they are the only errors and are in structural parts; else empty."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    is_newer = all(
        item["type"] == "extra_forbidden" and not _is_free_form(model, item["loc"])
        for item in errors
    )
    if not is_newer:
        return ()
    return tuple(".".join(str(part) for part in ("spec", *item["loc"])) for item in errors)


def _is_free_form(model: type[BaseModel], path: Sequence[int | str]) -> bool:
    """Return whether the API server stores any field at `path`."""
    current: type[BaseModel] | None = model
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        field = None if current is None else _field(current, part)
        if field is None:
            return True
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get(_FREE_FORM_KEY):
            return True
        current = _model_in(field.annotation)
    return False


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    fields = model.model_fields.items()
    return next((field for name, field in fields if key in (name, field.alias)), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for item in get_args(annotation) if (found := _model_in(item))), None)

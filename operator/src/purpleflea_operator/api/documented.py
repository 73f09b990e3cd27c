"""Base of models whose field descriptions end with the range and the default of the field.

The texts are completed when the schema of the CRD is generated. A default or a bound is therefore written once, at the
field, and a description cannot contradict it. This module defines no fields.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ConfigDict, JsonValue

from purpleflea_contract.quantities import decimal_text
from purpleflea_contract.settings import SpecModel


def _complete(schema: dict[str, Any], model: type[Any]) -> None:
    """Add ranges and defaults to the descriptions of the fields, and the CEL rules of the model."""
    fields: dict[str, Any] = schema["properties"]
    for field in fields.values():
        if "description" in field:
            field["description"] = " ".join([field["description"], *_facts(field)])
    rules = model.cel_rules()
    if rules:
        schema["x-kubernetes-validations"] = rules


def _facts(field: dict[str, Any]) -> Iterator[str]:
    if "minimum" in field and "maximum" in field:
        yield f"Range: {_shown(field['minimum'])} to {_shown(field['maximum'])}."
    default = field.get("default")
    if default is not None and not isinstance(default, dict) and default != []:
        yield f"Default: {_shown(default)}."


def _shown(value: JsonValue) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return decimal_text(value)
        case list():
            return ", ".join(_shown(item) for item in value)
        case _:
            return str(value)


class DocumentedModel(SpecModel):
    """Model with range and default in the descriptions of its fields, and with the CEL rules of `cel_rules`."""

    model_config = ConfigDict(json_schema_extra=_complete)

    @classmethod
    def cel_rules(cls) -> list[JsonValue]:
        """Return the CEL rules between the fields of the model."""
        return []

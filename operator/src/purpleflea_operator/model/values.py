"""Types of single fields: names, tag values, quantities, CEL rules. No field, no kind."""

from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

TagValue = Annotated[
    str, Field(pattern="^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$", min_length=1, max_length=63)
]
DnsName = Annotated[
    str, Field(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
Quantity = Annotated[
    str,
    Field(
        pattern="^[0-9]{1,15}([.][0-9]{1,6})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        max_length=24,
        json_schema_extra={"x-kubernetes-int-or-string": True},
    ),
    # Last, so outermost: a number becomes text before the pattern is looked at.
    BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value),
]
ResourceList = Annotated[dict[str, Quantity], Field(max_length=8)]
Text = Annotated[str, Field(max_length=1024)]


def rule(expression: str, message: str) -> dict[str, JsonValue]:
    """A CEL validation rule (Kubernetes: x-kubernetes-validations)."""
    return {"rule": expression, "message": message}

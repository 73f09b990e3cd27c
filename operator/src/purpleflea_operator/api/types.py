"""Types of single fields: names, tag values, quantities, CEL rules. No field, no kind."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue

TagValue = Annotated[
    str, Field(pattern="^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$", min_length=1, max_length=63)
]
DnsName = Annotated[
    str, Field(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
DnsLabel = Annotated[
    str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)
]
QualifiedName = Annotated[
    str,
    Field(
        pattern="^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        max_length=317,
    ),
]
"""Key of a label or an annotation, with or without a domain."""
LabelValue = Annotated[
    str, Field(pattern="^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", max_length=63)
]
DataKey = Annotated[str, Field(pattern="^[-._a-zA-Z0-9]+$", max_length=253)]
"""Key in a Secret or a ConfigMap."""
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
Path = Annotated[str, Field(pattern="^/[^:]*$", max_length=512)]
"""Absolute path in a container."""

OrNone = AfterValidator(lambda value: value or None)
"""False, 0 and empty count as left out: Kubernetes does not store them, and what is not stored looks like drift."""
Flag = Annotated[bool | None, OrNone]


def by_key(*keys: str) -> dict[str, JsonValue]:
    """A list that merges by these keys under server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


FREE_FORM: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}
"""On a field whose inner fields the CRD leaves out, so that it stays small: the operator checks them by the model."""


def rule(expression: str, message: str, **more: JsonValue) -> dict[str, JsonValue]:
    """A CEL validation rule (Kubernetes: x-kubernetes-validations)."""
    return {"rule": expression, "message": message, **more}


def rules(*found: dict[str, JsonValue]) -> ConfigDict:
    """The configuration of a model that carries CEL validation rules."""
    return {"json_schema_extra": {"x-kubernetes-validations": [*found]}}


def exactly_one(*names: str) -> ConfigDict:
    """The configuration of a model of which exactly one field must be set."""
    said = ", ".join(f"has(self.{name})" for name in names)
    wanted = f"[{said}].exists_one(said, said)"
    return rules(rule(wanted, f"set exactly one of {', '.join(names)}"))

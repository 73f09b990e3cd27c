"""Types of single fields, such as names and quantities, and CEL rules. Fields and kinds are defined elsewhere."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue

TagValue = Annotated[
    str, Field(pattern="^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$", min_length=1, max_length=63)
]
TagKey = Annotated[str, Field(pattern="^[a-zA-Z][a-zA-Z0-9_./-]*$", max_length=100)]
"""Key of a tag in Datadog. With a value of 63 characters, the tag is below Datadog's limit of 200."""
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = f"{_LABEL}([.]{_LABEL})*"
QUALIFIED_NAME = f"({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
LABEL_VALUE = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
DnsName = Annotated[str, Field(pattern=f"^{_SUBDOMAIN}$", min_length=1, max_length=253)]
DnsLabel = Annotated[
    str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)
]
DOMAIN_LIMIT = 253
"""Longest prefix of the key of a label, which is the name of a domain."""


def _with_short_domain(key: str) -> str:
    if len(key.rpartition("/")[0]) > DOMAIN_LIMIT:
        raise ValueError(f"the part before the slash has more than {DOMAIN_LIMIT} characters")
    return key


QualifiedName = Annotated[
    str, Field(pattern=f"^{QUALIFIED_NAME}$", max_length=317), AfterValidator(_with_short_domain)
]
"""Key of a label or an annotation, with or without a domain as prefix."""
LabelValue = Annotated[str, Field(pattern=f"^{LABEL_VALUE}$", max_length=63)]
DataKey = Annotated[
    str, Field(pattern="^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$", max_length=253)
]
"""Key in a Secret or a ConfigMap. It is not `.` and does not begin with `..`, because it becomes the name of a file."""
Quantity = Annotated[
    str,
    Field(
        pattern="^[0-9]{1,15}([.][0-9]{1,6})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        max_length=24,
        json_schema_extra={"x-kubernetes-int-or-string": True},
    ),
    # This validator is last, so it runs first: it converts a number to text before the pattern is checked.
    BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value),
]
ResourceList = Annotated[dict[str, Quantity], Field(max_length=8)]
Text = Annotated[str, Field(max_length=1024)]
Path = Annotated[str, Field(pattern="^/[^:]*$", max_length=512)]
"""Absolute path in a container."""

OrNone = AfterValidator(lambda value: value or None)
"""False, 0 and empty values count as not set. Kubernetes does not store them, so they would be reported as drift."""
Flag = Annotated[bool | None, OrNone]


def by_key(*keys: str) -> dict[str, JsonValue]:
    """Return the schema of a list that server-side apply merges by these keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


FREE_FORM: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}
"""Schema of a field of whose inner fields the CRD has only types and bounds, to stay small. The operator validates them
with the model."""


def rule(expression: str, message: str, **more: JsonValue) -> dict[str, JsonValue]:
    """Return a CEL validation rule (Kubernetes: x-kubernetes-validations)."""
    return {"rule": expression, "message": message, **more}


def rules(*items: dict[str, JsonValue]) -> ConfigDict:
    """Return the configuration of a model with CEL validation rules."""
    return {"json_schema_extra": {"x-kubernetes-validations": [*items]}}


def exactly_one(*names: str) -> ConfigDict:
    """Return the configuration of a model of which exactly one of these fields must be set."""
    presence = ", ".join(f"has(self.{name})" for name in names)
    expression = f"[{presence}].exists_one(said, said)"
    return rules(rule(expression, f"set exactly one of {', '.join(names)}"))

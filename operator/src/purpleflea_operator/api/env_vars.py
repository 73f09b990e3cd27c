"""PurpleFleaAgent v1alpha1: environment variables that users add, with the field names of Kubernetes."""

from typing import Annotated

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.types import DataKey, DnsName, Flag, OrNone, exactly_one, rule, rules

VariableName = Annotated[str, Field(pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=253)]


class KeyRef(SpecModel):
    """A key of a Secret or a ConfigMap in the namespace of the agent."""

    name: DnsName
    """Name of the Secret or ConfigMap."""
    key: DataKey
    """Key whose value is used."""
    optional: Flag = None
    """If true, the container starts even if the object or the key does not exist (default false)."""


class FieldRef(SpecModel):
    """A field of the pod."""

    field_path: Annotated[str, Field(max_length=253)]
    """Path of the field, such as spec.nodeName."""


class ResourceFieldRef(SpecModel):
    """A resource of the container."""

    resource: Annotated[str, Field(max_length=63)]
    """Name of the resource, such as limits.memory."""


class VariableSource(SpecModel):
    """Source of the value of a variable."""

    secret_key_ref: KeyRef | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap."""
    field_ref: FieldRef | None = None
    """A field of the pod."""
    resource_field_ref: ResourceFieldRef | None = None
    """A resource of the container."""

    model_config = exactly_one("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef")


class Variable(SpecModel):
    """An environment variable."""

    name: VariableName
    """Name of the variable."""
    value: Annotated[str | None, Field(max_length=4096), OrNone] = None
    """Value of the variable. $(NAME) refers to a variable that is defined before this one."""
    value_from: VariableSource | None = None
    """Source of the value, instead of `value`."""

    model_config = rules(
        rule("!(has(self.value) && has(self.valueFrom))", "set value or valueFrom, not both")
    )


class NameRef(SpecModel):
    """A Secret or a ConfigMap in the namespace of the agent."""

    name: DnsName
    """Name of the Secret or ConfigMap."""
    optional: Flag = None
    """If true, the container starts even if the object or the key does not exist (default false)."""


class VariablesFrom(SpecModel):
    """Environment variables from all keys of a Secret or a ConfigMap."""

    prefix: Annotated[
        str | None, Field(pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=63), OrNone
    ] = None
    """Prefix of the name of each variable."""
    secret_ref: NameRef | None = None
    """The Secret."""
    config_map_ref: NameRef | None = None
    """The ConfigMap."""

    model_config = exactly_one("secretRef", "configMapRef")

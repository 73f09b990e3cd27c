"""Variables of the module: one per parameter, with type, default, description and checks.

All of them are derived from the fields of `Parameters`, and through them from the spec of PurpleFleaObservability. A
scalar becomes one variable, and a model becomes one variable with optional attributes. `symbolic` returns the
parameters with a variable in place of each value; the definitions that are built from them are the module.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from purpleflea_contract.quantities import decimal_text
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.thresholds import MonitorThresholds
from purpleflea_operator.datadog.definitions.hcl import Block, Expression, Raw, expression
from purpleflea_operator.datadog.definitions.parameters import (
    Feature,
    NotificationParameters,
    Parameters,
)
from purpleflea_operator.datadog.definitions.terraform.variable_checks import Check, checks

NOTES = {
    "notifications": "Each list has handles of Datadog, such as @slack-alerts.",
    "log_index": "The attribute others lists the other indexes of the organization in their sequence.",
    "features": (
        "The attribute metrics is disabled until you enable it, because Datadog configures only metrics that have"
        " reported; without it, a first apply succeeds in a new organization."
    ),
}
"""Descriptions of what only the Terraform variable has."""
FIRST_APPLY_FAILS = Feature.METRICS
"""Feature that Datadog refuses until the agents have reported. The operator waits for the metrics; Terraform cannot."""
FIRST = ("critical", "warning", "critical_recovery", "warning_recovery")
"""First attributes of thresholds in variables.tf."""


@dataclass(frozen=True, slots=True)
class _Handles:
    """All handles of one list variable, as one target."""

    handle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformVariable:
    """One variable. `default` has the defaults of the attributes if the variable is an object."""

    name: str
    description: str
    default: Any
    checks: tuple[Check, ...]


def symbolic(parameters: Parameters) -> Parameters:
    """Return the parameters with a variable in place of each value. Features are not replaced."""
    changes: dict[str, Any] = {
        field.name: _symbol(getattr(parameters, field.name), field.name, f"var.{field.name}")
        for field in fields(parameters)
        if field.name not in ("other_indexes", "notifications", "features")
    }
    handles = {
        field.name: (_Handles(expression(f'join(" ", var.notifications.{field.name})')),)
        for field in fields(NotificationParameters)
    }
    return replace(
        parameters,
        **changes,
        other_indexes=(expression("var.log_index.others..."),),
        notifications=NotificationParameters(**handles),
    )


def _symbol(value: Any, variable: str, path: str) -> Any:
    match value:
        case SpecModel():
            symbols = {
                name: _symbol(inner, name, f"var.{variable}.{name}") for name, inner in value
            }
            return value.model_copy(update=symbols)
        case str():
            return expression(path)
        case _:
            return Expression(value, path)


def variables(parameters: Parameters) -> Iterator[TerraformVariable]:
    """Yield the variables in the sequence of the fields of Parameters."""
    for field in fields(parameters):
        if field.name != "other_indexes":
            default = _default(field.name, parameters)
            yield from _variables(ObservabilitySpec, field.name, default)


def _default(name: str, parameters: Parameters) -> Any:
    value = getattr(parameters, name)
    match name:
        case "log_index":
            return {**dict(value), "others": parameters.other_indexes}
        case "notifications":
            return {field.name: getattr(value, field.name) for field in fields(value)}
        case "features":
            # The provider has no resource for notebooks.
            return {
                feature.value: feature in value and feature is not FIRST_APPLY_FAILS
                for feature in Feature
                if feature is not Feature.NOTEBOOK
            }
        case _:
            return value


def _variables(owner: type[SpecModel], name: str, default: Any) -> Iterator[TerraformVariable]:
    """Yield the variable of a field of `owner`, and the variables of the models in the field."""
    models: dict[str, SpecModel] = {}
    validations = tuple(checks(name, default))
    if isinstance(default, SpecModel):
        models = {item: value for item, value in default if isinstance(value, SpecModel)}
        parent = type(default)
        default = {item: value for item, value in _attributes(default) if item not in models}
    if default != {}:
        description = " ".join(filter(None, (_description(owner, name), NOTES.get(name))))
        yield TerraformVariable(
            name=name, description=description, default=default, checks=validations
        )
    for item, model in models.items():
        yield from _variables(parent, item, model)


def _attributes(model: SpecModel) -> list[tuple[str, Any]]:
    """Return the fields of a model; thresholds start with both levels, then their recoveries."""
    if not isinstance(model, MonitorThresholds):
        return list(model)
    first = [(name, getattr(model, name)) for name in FIRST if name in model.level_names()]
    return first + [(name, value) for name, value in model if name not in FIRST]


def _description(owner: type[SpecModel], name: str) -> str:
    field = owner.model_fields[name]
    text = field.description or getattr(field.annotation, "__doc__", None) or ""
    return " ".join(text.split())


def blocks(parameters: Parameters) -> list[Block]:
    """Return the contents of variables.tf."""
    return [_block(variable) for variable in variables(parameters)]


def _block(variable: TerraformVariable) -> Block:
    is_object = isinstance(variable.default, dict)
    kind = _object(variable.default) if is_object else _scalar(variable.default)
    body: list[Any] = [
        ("description", variable.description),
        ("type", Raw(kind)),
        ("default", {} if is_object else variable.default),
        ("nullable", False),
    ]
    for condition, error in variable.checks:
        check = Block("validation", (("condition", Raw(condition)), ("error_message", error)))
        body += [None, check]
    return Block(f'variable "{variable.name}"', tuple(body))


def _scalar(value: str | float) -> str:
    return "string" if isinstance(value, str) else "number"


def _object(attributes: dict[str, Any]) -> str:
    width = max(map(len, attributes))
    lines = (f"  {name.ljust(width)} = {_optional(value)}" for name, value in attributes.items())
    return "\n".join(["object({", *lines, "})"])


def _optional(value: Any) -> str:
    match value:
        case bool():
            return f"optional(bool, {str(value).lower()})"
        case str():
            return f'optional(string, "{value}")'
        case tuple():
            names = (item if isinstance(item, str) else item.handle for item in value)
            return "optional(list(string), [" + ", ".join(f'"{name}"' for name in names) + "])"
        case _:
            return f"optional(number, {decimal_text(value)})"

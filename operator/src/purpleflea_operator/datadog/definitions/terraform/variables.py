"""The module's variables: one per parameter, with its default, and checks that name the mistake.

`symbolic` gives the parameters whose values are those variables; the definitions made from them are the module.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

from purpleflea_operator.datadog.definitions.hcl import Block, Expression, Raw, expression
from purpleflea_operator.datadog.definitions.parameters import (
    Feature,
    Notifications,
    Parameters,
    Rule,
)

WINDOW = "^[1-9][0-9]{0,3}[mh]$"
TAG_VALUE = "^[a-z][a-z0-9_./-]*$"
DESCRIPTIONS = {
    "env": "Unified service tag env of the agents, in lower case.",
    "service": "Unified service tag service of the agents, in lower case.",
    "team": "Value of the tag team on every object.",
    "currency": "Currency of the balance that pays for trades, as a tag value (lower case).",
    "runbooks_url": "Where the runbooks are; a monitor's key and .md are added.",
    "renotify_minutes": "Minutes after which an alert on drawdown is repeated.",
    "drawdown": "Fall of the equity from its peak, in percent.",
    "balance": "Wallet balance in US dollars below which the monitor fires.",
    "error_rate": "Failed API calls, in percent of all calls.",
    "order_latency": "p95 of the order latency of an agent, in milliseconds.",
    "order_span": "p95 of order execution in APM over all agents, in seconds.",
    "escrow_failures": "Failed escrow transactions of an agent in the window.",
    "heartbeat": "Completed trading intervals of an agent in the window; a longer interval needs a longer window.",
    "dropped_telemetry": "Telemetry packets an agent dropped in the window.",
    "objective": "Successful API calls, in percent of all calls over the time frame.",
    "fast_burn": "Speed at which the error budget burns that somebody is paged for.",
    "slow_burn": "Speed at which the error budget burns that is a matter for working hours.",
    "log_index": "The optional log index, and the organisation's other indexes in their order.",
    "notifications": "Handles told: paging for what loses money now, the others for the rest and for warnings.",
    "features": "Groups of objects to create.",
}
BELOW = ("balance", "heartbeat")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Handles:
    """All handles of one list variable, as one target."""

    handle: str


def symbolic(parameters: Parameters) -> Parameters:
    """The parameters with a variable in place of every value."""
    changes = {
        name: _symbol(getattr(parameters, name), f"var.{name}")
        for name in DESCRIPTIONS
        if name not in ("features", "notifications")
    }
    told = {
        name.name: (_Handles(expression(f'join(" ", var.notifications.{name.name})')),)
        for name in fields(Notifications)
    }
    return replace(parameters, **changes, notifications=Notifications(**told))


def _symbol(value: _T, path: str) -> Any:
    match value:
        case None:
            return None
        case str():
            return expression(path)
        case int() | float():
            return Expression(value, path)
        case tuple():
            return (expression(f"{path}..."),)
        case _:
            return _symbolic_fields(value, path)


def _symbolic_fields(value: Any, path: str) -> Any:
    changes = {
        field.name: _symbol(getattr(value, field.name), f"{path}.{field.name}")
        for field in fields(value)
    }
    return replace(value, **changes)


def variables(parameters: Parameters) -> tuple[Block, ...]:
    """variables.tf, in the order of DESCRIPTIONS."""
    return tuple(_variable(name, parameters) for name in DESCRIPTIONS)


def _variable(name: str, parameters: Parameters) -> Block:
    value = getattr(parameters, name)
    kind, default = _type(name, value), _default(name, value)
    body: list[Any] = [("description", DESCRIPTIONS[name]), ("type", kind), ("default", default)]
    body.append(("nullable", False))
    for condition, error in _checks(name, value):
        check = Block("validation", (("condition", Raw(condition)), ("error_message", error)))
        body += [None, check]
    return Block(f'variable "{name}"', tuple(body))


def _default(name: str, value: Any) -> Any:
    if is_dataclass(value) or name == "features":
        return {}
    return value


def _type(name: str, value: Any) -> Raw:
    if name == "features":
        chosen = {feature.value: str(feature in value).lower() for feature in Feature}
        return _object({key: f"optional(bool, {wanted})" for key, wanted in chosen.items()})
    if not is_dataclass(value):
        return Raw("string" if isinstance(value, str) else "number")
    values = ((field.name, getattr(value, field.name)) for field in fields(value))
    return _object({key: _optional(item) for key, item in values if item is not None})


def _object(attributes: dict[str, str]) -> Raw:
    width = max(map(len, attributes))
    lines = (f"  {name.ljust(width)} = {kind}" for name, kind in attributes.items())
    return Raw("\n".join(["object({", *lines, "})"]))


def _optional(value: Any) -> str:
    match value:
        case str():
            return f'optional(string, "{value}")'
        case tuple():
            names = (item if isinstance(item, str) else item.handle for item in value)
            return "optional(list(string), [" + ", ".join(f'"{name}"' for name in names) + "])"
        case _:
            return f"optional(number, {value:.15g})"


def _checks(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Rule):
        yield from _rule_checks(name, value)
    elif name in ("env", "service", "team", "currency"):
        yield (
            f'can(regex("{TAG_VALUE}", var.{name}))',
            f"{name} is a tag value: lower case, starting with a letter (Datadog stores it so).",
        )
    elif name == "renotify_minutes":
        yield f"var.{name} >= 0", f"{name} must be 0 (never) or more."
    elif name == "objective":
        yield (
            f"var.{name}.target < var.{name}.warning && var.{name}.warning < 100",
            f"{name}: target must be less than warning, and warning less than 100.",
        )
        yield (
            f'contains(["7d", "30d", "90d"], var.{name}.timeframe)',
            f"{name}: timeframe must be 7d, 30d or 90d.",
        )
    elif name in ("fast_burn", "slow_burn"):
        yield f"var.{name}.rate > 0", f"{name}: rate must be more than 0."
    elif name == "notifications":
        yield (
            f'alltrue([for handle in flatten(values(var.{name})) : startswith(handle, "@")])',
            f"{name}: a handle starts with @, such as @slack-trading-alerts.",
        )


def _rule_checks(name: str, rule: Rule) -> Iterator[tuple[str, str]]:
    yield (
        f'can(regex("{WINDOW}", var.{name}.window))',
        f"{name}: window must be a number of minutes or hours, such as 5m.",
    )
    order = ("critical", "critical_recovery", "warning", "warning_recovery")
    levels = [level for level in order if getattr(rule, level) is not None]
    signs = {("critical_recovery", "warning"): "="}
    sign, direction = ("<", "rise") if name in BELOW else (">", "fall")
    steps = [
        f"var.{name}.{one} {sign}{signs.get((one, other), '')} var.{name}.{other}"
        for one, other in pairwise(levels)
    ]
    if steps:
        yield " && ".join(steps), f"{name}: {', '.join(levels)} must {direction} in this order."

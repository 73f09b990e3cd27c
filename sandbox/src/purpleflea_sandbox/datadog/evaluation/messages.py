"""Text of a monitor notification: conditional blocks, variables, and the handles it names. Pure."""

import re
from collections.abc import Mapping, Sequence

from purpleflea_sandbox.datadog.evaluation.states import Status, Transition
from purpleflea_sandbox.datadog.evaluation.time_grid import Group

_BLOCK = re.compile(r"\{\{([#^])(is_[a-z_]+)\}\}(.*?)\{\{/\2\}\}", re.DOTALL)
_VARIABLE = re.compile(r"\{\{\s*([a-zA-Z_@][\w.@-]*)\s*\}\}")
_HANDLE = re.compile(r"(?<![\w.])@([\w.+-]+(?:@[\w.-]+)?[\w])")


def render(
    text: str, transition: Transition, group: Group, values: Mapping[str, float | None]
) -> str:
    """Render the message for a transition of a group. `values` are the numbers by the name of their variable."""
    active = flags(transition)

    def block(match: re.Match[str]) -> str:
        sign, name, body = match.groups()
        return body if (name in active) == (sign == "#") else ""

    while _BLOCK.search(text):
        text = _BLOCK.sub(block, text)
    known = variables(group, values)
    text = _VARIABLE.sub(lambda match: known.get(match[1], ""), text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def flags(transition: Transition) -> frozenset[str]:
    """Return the names of the conditional blocks that apply to a transition."""
    names = {
        Status.ALERT: {"is_alert"},
        Status.WARN: {"is_warning"},
        Status.NO_DATA: {"is_no_data"},
        Status.OK: {"is_recovery"},
    }[transition.after]
    past = {Status.ALERT: "alert", Status.WARN: "warning", Status.NO_DATA: "no_data"}
    if transition.is_reminder:
        return frozenset({*names, "is_renotify"})
    if transition.after is Status.OK and transition.before in past:
        names = {*names, f"is_{past[transition.before]}_recovery"}
    if transition.after is Status.WARN and transition.before is Status.ALERT:
        names = {*names, "is_alert_to_warning"}
    if transition.after is Status.ALERT and transition.before is Status.NO_DATA:
        names = {*names, "is_no_data_to_alert"}
    return frozenset(names)


def variables(group: Group, values: Mapping[str, float | None]) -> Mapping[str, str]:
    """Return the values of the {{...}} variables."""
    known = {name: number(value) for name, value in values.items()}
    for name, value in group:
        known[f"{name}.name"] = known[name] = value
    return known


def handles(text: str) -> Sequence[str]:
    """Return the handles in a rendered message, without the @."""
    return list(dict.fromkeys(_HANDLE.findall(text)))


def number(value: float | None) -> str:
    """Format a value with at most three decimals."""
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def scope(group: Group) -> str:
    """Return the name of a group in the API's format."""
    return ",".join(f"{name}:{value}" for name, value in group) or "*"

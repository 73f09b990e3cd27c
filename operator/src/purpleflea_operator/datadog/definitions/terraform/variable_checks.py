"""Validations of the Terraform variables, so that a plan refuses what the CRD, the provider or Datadog would refuse.

Ranges, patterns, lengths and closed sets are derived from the fields of the spec, and windows from their limits. Only
the comparisons between attributes and the values that the spec does not have are defined here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from purpleflea_contract.quantities import decimal_text, duration
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.observability import LogIndex, ObservabilitySpec
from purpleflea_operator.api.thresholds import LEAST_LEVEL, MonitorThresholds, level_comparisons
from purpleflea_operator.api.windows import WindowedModel, WindowLimits

Check = tuple[str, str]
"""Condition and error message of a validation."""
Schema = Mapping[str, Any]
"""JSON schema of a field."""

SECONDS_PER_MINUTE = 60
TAG_VALUE = "^[a-z](_?[a-z0-9./-])*$"
"""Tag values that Datadog stores unchanged; see `purpleflea_contract.tags.stored_tag`."""
HANDLE = "^@[A-Za-z0-9][^[:space:](]*([(].*[)])?$"
"""Handle of Datadog, with arguments if it starts a workflow."""
MOST_HANDLES = 8
INDEX_NAME = "lower case letters, digits and dashes, with a letter at the beginning"
FORMS = {
    "runbooks_url": "a URL with http or https, without spaces, user information and query",
    "name": INDEX_NAME,
}
"""Descriptions of the patterns of texts. The others are tag values."""
TAG_FORM = (
    "a tag value as Datadog stores it: lower case letters, digits, dots, slashes, dashes and single underscores, with"
    " a letter at the beginning"
)


def checks(name: str, default: Any) -> Iterator[Check]:
    """Yield the validations of the variable with this default."""
    model = LogIndex if name == "log_index" else type(default)
    if issubclass(model, SpecModel):
        yield from _attribute_checks(name, model)
    else:
        yield from _value_checks(f"var.{name}", name, name, _schemas(ObservabilitySpec)[name])
    match name:
        case "objective":
            yield (
                "var.objective.target < var.objective.warning && var.objective.warning < 100",
                "objective: target must be less than warning, and warning less than 100.",
            )
        case "fast_burn" | "slow_burn":
            short, long = (_minutes(f"var.{name}.{window}_window") for window in ("short", "long"))
            yield (
                f"try({short} < {long}, false)",
                f"{name}: short_window must be shorter than long_window.",
            )
        case "log_index":
            yield from _index_checks()
        case "notifications":
            yield from _handle_checks()


def _schemas(model: type[SpecModel]) -> Mapping[str, Schema]:
    schemas: Mapping[str, Schema] = model.model_json_schema(by_alias=False)["properties"]
    return schemas


def _attribute_checks(name: str, model: type[SpecModel]) -> Iterator[Check]:
    limits = model.window_limits if issubclass(model, WindowedModel) else {}
    for attribute, schema in _schemas(model).items():
        place, label = f"var.{name}.{attribute}", f"{name}: {attribute}"
        if attribute.endswith("window"):
            yield _window_check(place, label, schema["pattern"], limits.get(attribute))
        else:
            yield from _value_checks(place, label, attribute, schema)
    if issubclass(model, MonitorThresholds):
        yield from _level_checks(name, model)


def _value_checks(place: str, label: str, name: str, schema: Schema) -> Iterator[Check]:
    match schema:
        case {"enum": [*values]}:
            quoted = ", ".join(f'"{value}"' for value in values)
            last = f"{', '.join(values[:-1])} or {values[-1]}"
            yield f"contains([{quoted}], {place})", f"{label} must be {last}."
        case {"type": "string", "pattern": pattern, "maxLength": most}:
            form = FORMS.get(name, TAG_FORM)
            written = pattern if name in FORMS else TAG_VALUE
            yield (
                f"can(regex({_quoted(written)}, {place})) && length({place}) <= {most}",
                f"{label} must be {form}; at most {most} characters.",
            )
        case {"type": kind, "minimum": least, "maximum": most}:
            low, high = decimal_text(least), decimal_text(most)
            condition = f"{place} >= {low} && {place} <= {high}"
            is_whole = kind == "integer"
            yield (
                f"{condition} && floor({place}) == {place}" if is_whole else condition,
                f"{label} must be a{' whole' * is_whole} number from {low} to {high}.",
            )


def _window_check(place: str, label: str, pattern: str, limits: WindowLimits | None) -> Check:
    condition = f"can(regex({_quoted(pattern)}, {place}))"
    message = f"{label} must be a number of minutes or hours, such as 5m"
    if limits is None:
        return condition, f"{message}."
    bounds = [f"{_minutes(place)} <= {_number_of_minutes(limits.longest)}"]
    if limits.shortest:
        bounds.append(f"{_minutes(place)} >= {_number_of_minutes(limits.shortest)}")
    return f"{condition} && try({' && '.join(bounds)}, false)", f"{message}, {limits.text}."


def _minutes(place: str) -> str:
    """Return the expression for the minutes of a window. It fails if the window has another form."""
    return f'tonumber(trim({place}, "mh")) * (endswith({place}, "h") ? 60 : 1)'


def _number_of_minutes(window: str) -> str:
    return decimal_text(duration(window).total_seconds() / SECONDS_PER_MINUTE)


def _level_checks(name: str, thresholds: type[MonitorThresholds]) -> Iterator[Check]:
    levels = thresholds.level_names()
    values = ", ".join(f"var.{name}.{number}" for number in thresholds.number_names())
    least = decimal_text(LEAST_LEVEL)
    yield (
        f"alltrue([for level in [{values}] : level == 0 || level >= {least}])",
        f"{name}: a level must be 0, or at least {least}.",
    )
    if (bound := thresholds.bound()) is not None:
        limit = f"{bound[0]} {decimal_text(bound[1])}"
        yield (
            f"var.{name}.critical {limit}",
            f"{name}: critical must be {limit}, because otherwise the monitor can never alert.",
        )
    conditions = [
        f"var.{name}.{level} {sign} var.{name}.{following}"
        for level, sign, following in level_comparisons(levels, above=thresholds.fires_above)
    ]
    if conditions:
        direction = "fall" if thresholds.fires_above else "rise"
        yield (
            " && ".join(conditions),
            f"{name}: {', '.join(levels)} must {direction} in this sequence.",
        )


def _index_checks() -> Iterator[Check]:
    """Yield the validations of the other log indexes, which are not in the spec."""
    pattern = _quoted(_schemas(LogIndex)["name"]["pattern"])
    yield (
        f"alltrue([for name in var.log_index.others : can(regex({pattern}, name))])",
        f"log_index: each of others must have {INDEX_NAME}.",
    )
    yield (
        "length(distinct(concat([var.log_index.name], var.log_index.others))) == length(var.log_index.others) + 1",
        "log_index: others must not contain an index twice, or the index of this module.",
    )


def _handle_checks() -> Iterator[Check]:
    """Yield the validations of the handles, which have another form than the targets of the spec."""
    yield (
        f"alltrue([for handle in flatten(values(var.notifications)) : can(regex({_quoted(HANDLE)}, handle))])",
        "notifications: a handle starts with @ and has no spaces, such as @slack-trading-alerts.",
    )
    yield (
        f"alltrue([for handles in values(var.notifications) : length(handles) <= {MOST_HANDLES}])",
        f"notifications: each list must have at most {MOST_HANDLES} handles.",
    )


def _quoted(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("${", "$${").replace("%{", "%%{")}"'

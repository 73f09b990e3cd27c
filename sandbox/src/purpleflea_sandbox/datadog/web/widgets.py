"""Data of a widget by type: the values of its queries and formulas. Pure.

If a widget cannot be shown, `refusal` contains the reason; no other data is shown instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog.evaluation import logs, time_grid
from purpleflea_sandbox.datadog.evaluation.grouped_series import SeriesSource, bind_variables
from purpleflea_sandbox.datadog.evaluation.time_grid import (
    UNGROUPED,
    Group,
    TimeGrid,
    ValuesByGroup,
)
from purpleflea_sandbox.datadog.evaluation.values import (
    CountResults,
    Evaluator,
    UnsupportedQueryError,
)
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.queries import read, tree
from purpleflea_sandbox.datadog.web import histograms, objectives, traces_and_logs
from purpleflea_sandbox.datadog.web.definitions import Definitions
from purpleflea_sandbox.datadog.web.view import View

MAX_SERIES = 30
_HOLD_LAST_VALUE_S = 60
_MAX_ROWS = 50
_TONES = {"red": "bad", "yellow": "warn", "green": "good"}

WidgetDefinition = Mapping[str, Any]
WidgetData = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WidgetContext:
    """Input of all widgets; `variables` have their values."""

    store: Store
    definitions: Definitions
    view: View
    variables: Mapping[str, str]
    now: float
    source: SeriesSource

    @property
    def grid(self) -> TimeGrid:
        return self.view.grid(self.now)


def data(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    """Return the data of a widget."""
    kind = definition["type"]
    builder = _BUILDERS.get(kind)
    if builder is None:
        return {"refusal": f"widgets of type {kind} are not supported"}
    try:
        return builder(definition, context)
    except (read.UnreadableError, UnsupportedQueryError) as error:
        return {"refusal": str(error)}
    except (KeyError, IndexError, TypeError) as error:
        return {"refusal": f"the definition is incomplete: {error!r}"}


def _timeseries(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    series, series_count = [], 0
    for request in definition["requests"]:
        names = _query_results(request, context, lambda query: _over_time(query, context))
        for formula in _formulas(request):
            values_by_group = _evaluator(context, context.grid).of(
                read.formula(formula["formula"]), names
            )
            series_count += len(values_by_group)
            label = formula.get("alias", "")
            series += [
                {"name": _name(group) or label or definition["title"], "values": list(values)}
                for group, values in _largest(values_by_group)
            ]
    return {
        "times": [int(moment * 1000) for moment in context.grid.times],
        "series": series,
        "series_count": series_count,
        "display": definition["requests"][0].get("display_type", "line"),
    }


def _query_value(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    request = definition["requests"][0]
    values_by_group = _scalar(request, _formulas(request)[0], context)
    value = next(iter(values_by_group.values()))[0] if values_by_group else None
    return {
        "value": value,
        "unit": definition.get("custom_unit", ""),
        "precision": definition.get("precision", 2),
        "tone": _tone(value, _formulas(request)[0], request),
    }


def _toplist(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    request = definition["requests"][0]
    formula = _formulas(request)[0]
    limit = formula.get("limit") or {}
    values_by_group = _scalar(request, formula, context)
    rows = [
        (group, values[0]) for group, values in values_by_group.items() if values[0] is not None
    ]
    rows.sort(key=lambda row: row[1] or 0, reverse=limit.get("order", "desc") == "desc")
    shown = rows[: min(limit.get("count", 10), _MAX_ROWS)]
    return {"rows": [{"name": _name(group) or "all", "value": value} for group, value in shown]}


def _log_list(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    request = definition["requests"][0]
    terms = logs.bind_variables(read.search(request["query"]["query_string"]), context.variables)
    since = context.now - context.view.window_s
    rows = []
    for log in logs.matching(terms, context.store.logs, since=since):
        rows.append(log)
        if len(rows) == _MAX_ROWS:
            break
    fields = [column["field"] for column in request["columns"]]
    return {
        "columns": fields,
        "rows": [
            {
                **traces_and_logs.log_summary(log),
                "cells": [traces_and_logs.field(log, name) for name in fields],
            }
            for log in rows
        ],
    }


def _note(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    return {"text": definition["content"]}


def _slo(definition: WidgetDefinition, context: WidgetContext) -> WidgetData:
    objective = context.definitions.all_objectives().get(definition["slo_id"])
    if objective is None:
        raise UnsupportedQueryError(f"SLO {definition['slo_id']} does not exist")
    return objectives.objective_data(objective, context.source, context.now)


_BUILDERS: Mapping[str, Callable[[WidgetDefinition, WidgetContext], WidgetData]] = {
    "timeseries": _timeseries,
    "query_value": _query_value,
    "toplist": _toplist,
    "distribution": lambda definition, context: histograms.distribution(
        _histogram(definition, context), context.grid
    ),
    "heatmap": lambda definition, context: histograms.heat_map(
        _histogram(definition, context), context.grid
    ),
    "list_stream": _log_list,
    "note": _note,
    "slo": _slo,
}


def _histogram(definition: WidgetDefinition, context: WidgetContext) -> histograms.Distributions:
    query = bind_variables(
        read.series(definition["requests"][0]["query"]["query"]), context.variables
    )
    if not isinstance(query, tree.MetricQuery) or query.aggregator != "histogram":
        raise UnsupportedQueryError("a distribution requires a histogram:<metric> query")
    return histograms.find_distributions(query, context.source, context.grid)


def _query_results(
    request: Mapping[str, Any],
    context: WidgetContext,
    value: Callable[[Mapping[str, Any]], ValuesByGroup],
) -> Mapping[str, ValuesByGroup]:
    names = {query["name"]: value(query) for query in request["queries"]}
    leaves = [
        leaf for query in request["queries"] for leaf in tree.leaves(read.series(query["query"]))
    ]
    return CountResults(names) if all(leaf.as_count for leaf in leaves) else names


def _over_time(query: Mapping[str, Any], context: WidgetContext) -> ValuesByGroup:
    expression = bind_variables(read.series(query["query"]), context.variables)
    return _evaluator(context, context.grid).of(expression)


def _scalar(
    request: Mapping[str, Any], formula: Mapping[str, Any], context: WidgetContext
) -> ValuesByGroup:
    """Return one bucket per group: reduce each query over time by its aggregator, then apply the formula."""
    names = _query_results(request, context, lambda query: _reduced(query, context))
    grid = time_grid.single_bucket(context.view.window_s, context.now)
    return _evaluator(context, grid).of(read.formula(formula["formula"]), names)


def _reduced(query: Mapping[str, Any], context: WidgetContext) -> ValuesByGroup:
    aggregator = query.get("aggregator", "avg")
    expression = bind_variables(read.series(query["query"]), context.variables)
    if aggregator == "sum" or aggregator.startswith("p"):
        window = TimeGrid(end=context.grid.end, step_s=context.view.window_s, count=1)
        return _evaluator(context, window).of(expression)
    values_by_group = _evaluator(context, context.grid).of(expression)
    return {
        group: [time_grid.reduce_values(values, aggregator)]
        for group, values in values_by_group.items()
    }


def _evaluator(context: WidgetContext, grid: TimeGrid) -> Evaluator:
    return Evaluator(source=context.source, grid=grid, hold_s=_HOLD_LAST_VALUE_S)


def _formulas(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return request.get("formulas") or [{"formula": query["name"]} for query in request["queries"]]


def _largest(values_by_group: ValuesByGroup) -> Sequence[tuple[Group, time_grid.BucketValues]]:
    """Return the groups with the largest last values, sorted by name, because a chart of a thousand lines is not
    readable.
    """
    ranked = sorted(
        values_by_group.items(),
        key=lambda item: time_grid.reduce_values(item[1], "last") or 0,
        reverse=True,
    )
    return sorted(ranked[:MAX_SERIES])


def _name(group: Group) -> str:
    return "" if group == UNGROUPED else ", ".join(value for _, value in group)


def _tone(value: float | None, formula: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    formats = formula.get("conditional_formats") or request.get("conditional_formats") or ()
    for format_ in formats:
        if value is not None and _holds(value, format_["comparator"], format_["value"]):
            color = format_["palette"].rpartition("_")[2]
            return _TONES.get(color, "")
    return ""


def _holds(value: float, comparator: str, threshold: float) -> bool:
    return {
        ">": value > threshold,
        ">=": value >= threshold,
        "<": value < threshold,
        "<=": value <= threshold,
    }.get(comparator, False)

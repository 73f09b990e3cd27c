"""Data of one widget by type: the values of its queries and formulas. Pure.

If a widget cannot be shown, `refusal` contains the reason; no other data is shown instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog.evaluation import frames, logs
from purpleflea_sandbox.datadog.evaluation.frames import EVERYTHING, Frame, Grid, Group
from purpleflea_sandbox.datadog.evaluation.tracks import Source, bound
from purpleflea_sandbox.datadog.evaluation.values import Counted, Evaluator, RefusedError
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.queries import read, tree
from purpleflea_sandbox.datadog.web import objectives, records, spreads
from purpleflea_sandbox.datadog.web.definitions import Definitions
from purpleflea_sandbox.datadog.web.view import View

MOST_SERIES = 30
_HOLD_S = 60
_MOST_ROWS = 50
_TONES = {"red": "bad", "yellow": "warn", "green": "good"}

Definition = Mapping[str, Any]
Shown = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Input of all widgets; `variables` have their values."""

    store: Store
    definitions: Definitions
    view: View
    variables: Mapping[str, str]
    now: float
    source: Source

    @property
    def grid(self) -> Grid:
        return self.view.grid(self.now)


def data(definition: Definition, scene: Scene) -> Shown:
    """Return the data of a widget."""
    kind = definition["type"]
    maker = _MAKERS.get(kind)
    if maker is None:
        return {"refusal": f"widgets of type {kind} are not shown here"}
    try:
        return maker(definition, scene)
    except (read.UnreadableError, RefusedError) as error:
        return {"refusal": str(error)}
    except (KeyError, IndexError, TypeError) as error:
        return {"refusal": f"the definition lacks something: {error!r}"}


def _timeseries(definition: Definition, scene: Scene) -> Shown:
    series, found = [], 0
    for request in definition["requests"]:
        names = _queried(request, scene, lambda query: _over_time(query, scene))
        for formula in _formulas(request):
            frame = _evaluator(scene, scene.grid).of(read.formula(formula["formula"]), names)
            found += len(frame)
            label = formula.get("alias", "")
            series += [
                {"name": _name(group) or label or definition["title"], "values": list(values)}
                for group, values in _largest(frame)
            ]
    return {
        "times": [int(moment * 1000) for moment in scene.grid.times],
        "series": series,
        "found": found,
        "display": definition["requests"][0].get("display_type", "line"),
    }


def _query_value(definition: Definition, scene: Scene) -> Shown:
    request = definition["requests"][0]
    frame = _scalar(request, _formulas(request)[0], scene)
    value = next(iter(frame.values()))[0] if frame else None
    return {
        "value": value,
        "unit": definition.get("custom_unit", ""),
        "precision": definition.get("precision", 2),
        "tone": _tone(value, _formulas(request)[0], request),
    }


def _toplist(definition: Definition, scene: Scene) -> Shown:
    request = definition["requests"][0]
    formula = _formulas(request)[0]
    limit = formula.get("limit") or {}
    frame = _scalar(request, formula, scene)
    rows = [(group, values[0]) for group, values in frame.items() if values[0] is not None]
    rows.sort(key=lambda row: row[1] or 0, reverse=limit.get("order", "desc") == "desc")
    shown = rows[: min(limit.get("count", 10), _MOST_ROWS)]
    return {"rows": [{"name": _name(group) or "all", "value": value} for group, value in shown]}


def _log_list(definition: Definition, scene: Scene) -> Shown:
    request = definition["requests"][0]
    terms = logs.bound(read.search(request["query"]["query_string"]), scene.variables)
    since = scene.now - scene.view.window_s
    found = []
    for log in logs.matching(terms, scene.store.logs, since=since):
        found.append(log)
        if len(found) == _MOST_ROWS:
            break
    fields = [column["field"] for column in request["columns"]]
    return {
        "columns": fields,
        "rows": [
            {**records.shown_log(log), "cells": [records.field(log, one) for one in fields]}
            for log in found
        ],
    }


def _note(definition: Definition, scene: Scene) -> Shown:
    return {"text": definition["content"]}


def _slo(definition: Definition, scene: Scene) -> Shown:
    found = scene.definitions.all_objectives().get(definition["slo_id"])
    if found is None:
        raise RefusedError(f"there is no SLO {definition['slo_id']}")
    return objectives.shown(found, scene.source, scene.now)


_MAKERS: Mapping[str, Callable[[Definition, Scene], Shown]] = {
    "timeseries": _timeseries,
    "query_value": _query_value,
    "toplist": _toplist,
    "distribution": lambda definition, scene: spreads.distribution(
        _histogram(definition, scene), scene.grid
    ),
    "heatmap": lambda definition, scene: spreads.heat_map(
        _histogram(definition, scene), scene.grid
    ),
    "list_stream": _log_list,
    "note": _note,
    "slo": _slo,
}


def _histogram(definition: Definition, scene: Scene) -> spreads.Tracks:
    query = bound(read.series(definition["requests"][0]["query"]["query"]), scene.variables)
    if not isinstance(query, tree.Series) or query.aggregator != "histogram":
        raise RefusedError("a distribution is drawn of histogram:<metric> alone")
    return spreads.tracks(query, scene.source, scene.grid)


def _queried(
    request: Mapping[str, Any], scene: Scene, value: Callable[[Mapping[str, Any]], Frame]
) -> Mapping[str, Frame]:
    names = {query["name"]: value(query) for query in request["queries"]}
    leaves = [
        leaf for query in request["queries"] for leaf in tree.leaves(read.series(query["query"]))
    ]
    return Counted(names) if all(leaf.as_count for leaf in leaves) else names


def _over_time(query: Mapping[str, Any], scene: Scene) -> Frame:
    expression = bound(read.series(query["query"]), scene.variables)
    return _evaluator(scene, scene.grid).of(expression)


def _scalar(request: Mapping[str, Any], formula: Mapping[str, Any], scene: Scene) -> Frame:
    """Return one bucket per group: reduce each query over time by its aggregator, then apply the formula."""
    names = _queried(request, scene, lambda query: _at_once(query, scene))
    grid = frames.whole(scene.view.window_s, scene.now)
    return _evaluator(scene, grid).of(read.formula(formula["formula"]), names)


def _at_once(query: Mapping[str, Any], scene: Scene) -> Frame:
    how = query.get("aggregator", "avg")
    expression = bound(read.series(query["query"]), scene.variables)
    if how == "sum" or how.startswith("p"):
        whole = Grid(end=scene.grid.end, step_s=scene.view.window_s, count=1)
        return _evaluator(scene, whole).of(expression)
    frame = _evaluator(scene, scene.grid).of(expression)
    return {group: [frames.reduced(values, how)] for group, values in frame.items()}


def _evaluator(scene: Scene, grid: Grid) -> Evaluator:
    return Evaluator(source=scene.source, grid=grid, hold_s=_HOLD_S)


def _formulas(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return request.get("formulas") or [{"formula": query["name"]} for query in request["queries"]]


def _largest(frame: Frame) -> Sequence[tuple[Group, frames.Values]]:
    """Return the groups with the largest last values, sorted by name, because a chart of a thousand lines is not
    readable.
    """
    known = sorted(frame.items(), key=lambda one: frames.reduced(one[1], "last") or 0, reverse=True)
    return sorted(known[:MOST_SERIES])


def _name(group: Group) -> str:
    return "" if group == EVERYTHING else ", ".join(value for _, value in group)


def _tone(value: float | None, formula: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    formats = formula.get("conditional_formats") or request.get("conditional_formats") or ()
    for one in formats:
        if value is not None and _holds(value, one["comparator"], one["value"]):
            colour = one["palette"].rpartition("_")[2]
            return _TONES.get(colour, "")
    return ""


def _holds(value: float, comparator: str, threshold: float) -> bool:
    return {
        ">": value > threshold,
        ">=": value >= threshold,
        "<": value < threshold,
        "<=": value <= threshold,
    }.get(comparator, False)

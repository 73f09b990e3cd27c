"""Widgets in the API's present format (queries, formulas, response_format; the string q is deprecated).

It knows how a widget is written, not which ones there are: see dashboard and notebook.
"""

from dataclasses import dataclass
from typing import Any

from purpleflea_operator.datadog.definitions.objects import Body

GRID_COLUMNS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a widget stands on the grid of twelve columns."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A colour from a threshold on."""

    comparator: str
    value: float
    palette: str


def metric_query(name: str, query: str, aggregator: str = "") -> Body:
    """One named query; `aggregator` reduces it to one number where the widget shows one."""
    body = {"data_source": "metrics", "name": name, "query": query}
    return body | ({"aggregator": aggregator} if aggregator else {})


def placed(definition: Body, place: Place) -> Body:
    """A widget of a dashboard with a fixed grid."""
    layout = {"x": place.x, "y": place.y, "width": place.width, "height": place.height}
    return {"definition": definition, "layout": layout}


def query_value(title: str, queries: list[Body], formula: str, **more: Any) -> Body:
    """One number. `levels` colour it, `unit` follows it."""
    levels: tuple[Level, ...] = more.pop("levels", ())
    request: Body = {
        "response_format": "scalar",
        "queries": queries,
        "formulas": [{"formula": formula}],
    }
    if levels:
        request["conditional_formats"] = [
            {"comparator": level.comparator, "value": level.value, "palette": level.palette}
            for level in levels
        ]
    unit = more.pop("unit", "")
    return {
        "type": "query_value",
        "title": title,
        "requests": [request],
        "precision": 2,
        "autoscale": False,
        **({"custom_unit": unit} if unit else {}),
        **more,
    }


def timeseries(
    title: str, queries: list[Body], formula: str, *, display: str = "line", alias: str = ""
) -> Body:
    """Lines or bars over time."""
    shown = {"formula": formula} | ({"alias": alias} if alias else {})
    return {
        "type": "timeseries",
        "title": title,
        "show_legend": True,
        "requests": [
            {
                "response_format": "timeseries",
                "queries": queries,
                "formulas": [shown],
                "display_type": display,
            }
        ],
    }


def toplist(title: str, queries: list[Body], formula: str, *, most: int = 10) -> Body:
    """The largest groups."""
    limited = {"formula": formula, "limit": {"count": most, "order": "desc"}}
    return {
        "type": "toplist",
        "title": title,
        "requests": [{"response_format": "scalar", "queries": queries, "formulas": [limited]}],
    }


def distribution(title: str, query: str) -> Body:
    """How often which value occurred. `query` asks a distribution metric for its histogram."""
    return {"type": "distribution", "title": title, "requests": [_histogram(query)]}


def heat_map(title: str, query: str) -> Body:
    """The same over time."""
    return {"type": "heatmap", "title": title, "requests": [_histogram(query)]}


def _histogram(query: str) -> Body:
    return {"request_type": "histogram", "query": metric_query("query1", query)}


def log_stream(title: str, search: str, columns: tuple[str, ...]) -> Body:
    """Log lines as they come in."""
    widths = {"status_line": "auto", "timestamp": "auto", **dict.fromkeys(columns, "auto")}
    widths["content"] = "full"
    return {
        "type": "list_stream",
        "title": title,
        "requests": [
            {
                "response_format": "event_list",
                "query": {
                    "data_source": "logs_stream",
                    "query_string": search,
                    "indexes": [],
                    "sort": {"column": "timestamp", "order": "desc"},
                },
                "columns": [{"field": name, "width": width} for name, width in widths.items()],
            }
        ],
    }


def note(markdown: str) -> Body:
    """Text."""
    return {"type": "markdown", "text": markdown}

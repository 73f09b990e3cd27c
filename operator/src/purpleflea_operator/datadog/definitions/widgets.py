"""Builders of widgets in the current format of the API (queries, formulas, response_format; `q` is deprecated).

This module does not define which widgets exist; see dashboard and notebook.
"""

from dataclasses import dataclass
from typing import Any

from purpleflea_operator.datadog.definitions.objects import Body

GRID_COLUMNS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Position and size of a widget on the grid of twelve columns."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalFormat:
    """Color of a widget if the comparison with `value` is true."""

    comparator: str
    value: float
    palette: str


def metric_query(name: str, query: str, aggregator: str = "") -> Body:
    """Return a named query. `aggregator` reduces the series to one number, if the widget shows one."""
    body = {"data_source": "metrics", "name": name, "query": query}
    return body | ({"aggregator": aggregator} if aggregator else {})


def with_layout(definition: Body, layout: Layout) -> Body:
    """Return a widget of a dashboard with its position."""
    position = {"x": layout.x, "y": layout.y, "width": layout.width, "height": layout.height}
    return {"definition": definition, "layout": position}


def query_value(title: str, queries: list[Body], formula: str, **more: Any) -> Body:
    """Return a widget with one number. `formats` set its color, `unit` is shown after it."""
    formats: tuple[ConditionalFormat, ...] = more.pop("formats", ())
    request: Body = {
        "response_format": "scalar",
        "queries": queries,
        "formulas": [{"formula": formula}],
    }
    if formats:
        request["conditional_formats"] = [
            {"comparator": item.comparator, "value": item.value, "palette": item.palette}
            for item in formats
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
    """Return a widget with lines or bars over time."""
    labeled = {"formula": formula} | ({"alias": alias} if alias else {})
    return {
        "type": "timeseries",
        "title": title,
        "show_legend": True,
        "requests": [
            {
                "response_format": "timeseries",
                "queries": queries,
                "formulas": [labeled],
                "display_type": display,
            }
        ],
    }


def toplist(title: str, queries: list[Body], formula: str, *, most: int = 10) -> Body:
    """Return a widget with the `most` largest groups."""
    limited = {"formula": formula, "limit": {"count": most, "order": "desc"}}
    return {
        "type": "toplist",
        "title": title,
        "requests": [{"response_format": "scalar", "queries": queries, "formulas": [limited]}],
    }


def distribution(title: str, query: str) -> Body:
    """Return a widget with the frequency of values. `query` is the histogram of a distribution metric."""
    return {"type": "distribution", "title": title, "requests": [_histogram(query)]}


def heat_map(title: str, query: str) -> Body:
    """Return a widget with the frequency of values over time. `query` is as in `distribution`."""
    return {"type": "heatmap", "title": title, "requests": [_histogram(query)]}


def _histogram(query: str) -> Body:
    return {"request_type": "histogram", "query": metric_query("query1", query)}


def log_stream(title: str, search: str, columns: tuple[str, ...]) -> Body:
    """Return a widget with the latest log lines."""
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
    """Return a cell of a notebook with text."""
    return {"type": "markdown", "text": markdown}


def note_widget(markdown: str) -> Body:
    """Return a widget of a dashboard with text. The cell of a notebook with text is `note`."""
    return {
        "type": "note",
        "content": markdown,
        "background_color": "white",
        "font_size": "14",
        "text_align": "left",
        "show_tick": False,
        "has_padding": True,
    }

"""Weekly report as a notebook: profit, risk and latency of seven days.

A notebook can be shared with readers who have no access to the dashboard. The format of the cells is in widgets.
"""

from purpleflea_contract import metrics, tags
from purpleflea_contract.metrics import Metric
from purpleflea_operator.datadog.definitions.objects import Body, Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters
from purpleflea_operator.datadog.definitions.queries import Where, of_metric, series
from purpleflea_operator.datadog.definitions.widgets import (
    distribution,
    metric_query,
    note,
    timeseries,
    toplist,
)


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return the notebook."""
    attributes = {
        "name": "Purple Flea agents: weekly P&L and latency",
        "time": {"live_span": "1w"},
        "status": "published",
        "metadata": {"type": "report", "is_template": False, "take_snapshots": False},
        "cells": [_cell(definition) for definition in _sections(parameters)],
    }
    body = {"data": {"type": "notebooks", "attributes": attributes}}
    return (
        Definition(
            kind=ObjectKind.NOTEBOOK, key="weekly-report", body=body, feature=Feature.NOTEBOOK
        ),
    )


def _cell(definition: Body) -> Body:
    attributes: Body = {"definition": definition}
    if definition["type"] != "markdown":
        attributes |= {"graph_size": "m", "time": None}
    return {"type": "notebook_cells", "attributes": attributes}


def _sections(parameters: Parameters) -> tuple[Body, ...]:
    return (
        note(
            "# Weekly report\n\n"
            f"Agents of `{parameters.service}` in `{parameters.env}`, the last seven days."
        ),
        note("## Profit and loss"),
        _profit(parameters),
        _profit_by_agent(parameters),
        note("## Risk"),
        _drawdown(parameters),
        note("## Latency"),
        _latency(parameters),
        _distribution(parameters),
        note("## Comments\n\n_Explain the events of the week here._"),
    )


def _query(
    parameters: Parameters,
    metric: Metric,
    aggregator: str,
    where: Where | None = None,
    by: tuple[tags.Tag, ...] = (),
) -> str:
    scope = (f"env:{parameters.env}", f"service:{parameters.service}")
    return series(of_metric(metric), aggregator, scope, where=where, by=by)


def _profit(parameters: Parameters) -> Body:
    booked = _query(parameters, metrics.PNL, "sum", {tags.REALIZED: "true"}, (tags.STRATEGY,))
    return timeseries("Booked P&L by strategy", [metric_query("booked", booked)], "booked")


def _profit_by_agent(parameters: Parameters) -> Body:
    booked = _query(parameters, metrics.PNL, "sum", {tags.REALIZED: "true"}, (tags.AGENT_ID,))
    return toplist("Booked P&L by agent", [metric_query("booked", booked, "last")], "booked")


def _drawdown(parameters: Parameters) -> Body:
    worst = _query(parameters, metrics.DRAWDOWN, "max", by=(tags.AGENT_ID,))
    return timeseries("Drawdown by agent (%)", [metric_query("worst", worst)], "worst")


def _latency(parameters: Parameters) -> Body:
    p95 = _query(parameters, metrics.ORDER_LATENCY, "p95", by=(tags.MARKET,))
    return timeseries("Order latency p95 by market (ms)", [metric_query("p95", p95)], "p95")


def _distribution(parameters: Parameters) -> Body:
    return distribution(
        "Order latency distribution", _query(parameters, metrics.ORDER_LATENCY, "histogram")
    )

"""Data of widgets, without a browser."""

import pytest

from purpleflea_sandbox.datadog.evaluation.data_source import StoreSource
from purpleflea_sandbox.datadog.evaluation.grouped_series import (
    CachedSource,
    DistributionPoint,
    TaggedSeries,
)
from purpleflea_sandbox.datadog.evaluation.time_grid import TimeGrid
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.web import histograms, view, widgets
from purpleflea_sandbox.datadog.web.definitions import StaticDefinitions
from purpleflea_sandbox.datadog.web.view import View
from support.fleet_data import AGENTS, FleetData

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def store():
    data = Store()
    FleetData(data, NOW).fill(900)
    return data


def shown(store, definition, objectives=None, **variables):
    context = widgets.WidgetContext(
        store=store,
        definitions=StaticDefinitions(objectives=objectives or {}),
        view=View(),
        variables=variables,
        now=NOW,
        source=CachedSource(StoreSource(store)),
    )
    return widgets.data(definition, context)


def metric(query, name="a", **more):
    return {"data_source": "metrics", "name": name, "query": query, **more}


def value(query, formula="a", **more):
    request = {"queries": [query], "formulas": [{"formula": formula}], **more}
    return {"type": "query_value", "title": "x", "requests": [request]}


@pytest.mark.parametrize(
    ("aggregator", "expected"), [("last", 9), ("max", 9), ("min", 1), ("avg", 5), ("sum", 15)]
)
def test_query_value_is_reduced_by_the_aggregator_of_its_query(aggregator, expected):
    store = Store()
    for ago, amount in ((600, 1), (300, 5), (0, 9)):
        series = store.series.open("orders", "count", tags=("a:b",), host="")
        store.series.add(series, int(NOW) - ago, amount)
    query = metric("sum:orders{*}.as_count()", aggregator=aggregator)
    assert shown(store, value(query))["value"] == expected


@pytest.mark.parametrize(
    ("amount", "tone"), [(16, "bad"), (15, "warn"), (9, "warn"), (8, ""), (-1, "good")]
)
def test_first_matching_format_sets_the_tone(amount, tone):
    store = Store()
    store.series.add(store.series.open("x", "gauge", tags=(), host=""), int(NOW), amount)
    formats = [
        {"comparator": ">", "value": 15, "palette": "white_on_red"},
        {"comparator": ">=", "value": 9, "palette": "white_on_yellow"},
        {"comparator": "<=", "value": -1, "palette": "white_on_green"},
        {"comparator": "<", "value": -5, "palette": "white_on_blue"},
        {"comparator": "=", "value": 8, "palette": "white_on_red"},
    ]
    query = metric("max:x{*}", aggregator="last")
    assert shown(store, value(query, conditional_formats=formats))["tone"] == tone


def test_variables_filter_and_toplist_is_limited_in_its_sequence(store):
    request = {
        "queries": [metric("sum:agent.heartbeat{$agent_id} by {agent_id}.as_count()", aggregator="sum")],
        "formulas": [{"formula": "a", "limit": {"count": 2, "order": "asc"}}],
    }  # fmt: skip
    widget = {"type": "toplist", "title": "x", "requests": [request]}
    assert len(shown(store, widget)["rows"]) == 2
    assert [row["name"] for row in shown(store, widget, agent_id=AGENTS[1])["rows"]] == [AGENTS[1]]


def test_chart_with_many_series_shows_the_largest_and_the_total_count():
    store = Store()
    for number in range(100):
        series = store.series.open("x", "gauge", tags=(f"agent_id:{number:03}",), host="")
        store.series.add(series, int(NOW), number)
    request = {"queries": [metric("max:x{*} by {agent_id}")], "formulas": [{"formula": "a"}]}
    data = shown(store, {"type": "timeseries", "title": "x", "requests": [request]})
    assert (data["series_count"], len(data["series"])) == (100, widgets.MAX_SERIES)
    assert data["series"][-1]["name"] == "099"
    assert data["series"][0]["name"] == "070"


def test_queries_are_used_directly_without_formulas(store):
    request = {"queries": [metric("max:agent.risk.max_drawdown_pct{*}")]}
    data = shown(store, {"type": "timeseries", "title": "Drawdown", "requests": [request]})
    assert [one["name"] for one in data["series"]] == ["Drawdown"]


def test_notes_and_slos_have_data(store):
    assert shown(store, {"type": "note", "content": "read me"}) == {"text": "read me"}
    objective = {
        "name": "API",
        "query": {
            "numerator": "sum:agent.heartbeat{agent_id:momentum-0}.as_count()",
            "denominator": "sum:agent.heartbeat{*}.as_count()",
        },
        "thresholds": [{"timeframe": "30d", "target": 20.0, "warning": 40.0}],
    }
    data = shown(store, {"type": "slo", "slo_id": "s"}, {"s": objective})
    assert data["success"] == pytest.approx(100 / 3)
    assert data["budget_left"] == pytest.approx(100 / 6)
    assert data["tone"] == "warn"
    assert shown(store, {"type": "slo", "slo_id": "t"})["refusal"] == "SLO t does not exist"


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"type": "hostmap"}, "widgets of type hostmap are not supported"),
        ({"type": "timeseries", "title": "x"}, "the definition is incomplete: KeyError('requests')"),
        (value(metric("top(max:a{*})")), "unreadable query"),
        (value(metric("max:a{*}"), "b"), "refers to query 'b'"),
        (
            {"type": "heatmap", "requests": [{"query": metric("max:a{*}")}]},
            "a distribution requires a histogram",
        ),
    ],
)  # fmt: skip
def test_widget_that_cannot_be_shown_has_a_reason(store, definition, reason):
    assert reason in shown(store, definition)["refusal"]


def distribution_series(*values, ago=0.0, weight=1.0):
    point = DistributionPoint(
        timestamp=NOW - ago,
        count=len(values) * weight,
        sum=sum(values),
        min=min(values),
        max=max(values),
        samples=[(one, weight) for one in values],
    )
    return TaggedSeries(tags=(), type="distribution", distributions=[point])


GRID = TimeGrid(end=NOW, step_s=10, count=2)


def test_a_histogram_counts_every_value_once_by_its_weight():
    data = histograms.distribution(
        [distribution_series(1, 2, 3, ago=15), distribution_series(99, 500, weight=3)], GRID
    )
    assert sum(data["counts"]) == data["total"] == 9
    assert data["edges"][0] == 0
    assert data["edges"] == sorted(data["edges"])
    assert data["percentiles"]["p50"] == 99


def test_the_last_range_contains_all_larger_values():
    data = histograms.distribution([distribution_series(*[1.0] * 999, 1000.0)], GRID)
    assert data["counts"][-1] == 1
    assert data["edges"][-1] < 2


def test_heat_map_counts_per_bucket_and_range():
    data = histograms.heat_map([distribution_series(1, ago=15), distribution_series(1, 10)], GRID)
    columns = {column for column, _, _ in data["cells"]}
    assert columns == {0, 1}
    assert sum(count for _, _, count in data["cells"]) == 3


def test_histogram_and_heat_map_are_empty_without_values():
    assert histograms.distribution([], GRID) == {
        "edges": [],
        "counts": [],
        "total": 0,
        "percentiles": {},
    }
    assert histograms.heat_map([], GRID)["cells"] == []


@pytest.mark.parametrize("text", ["", "0", "17", "1e3", "-300"])
def test_window_that_is_not_offered_is_rejected(text):
    with pytest.raises(ValueError, match="it must be one of 300, 900, 3600, 7200"):
        view.from_query({"window": text})


def test_variables_are_read_from_the_query_string():
    data = view.from_query({"tpl_var_env": "e", "tpl_var_market": "", "other": "x"})
    assert data == View(variables={"env": "e"})


@pytest.mark.parametrize(("window", "step"), [(300, 20), (900, 20), (3600, 60), (7200, 120)])
def test_buckets_are_not_shorter_than_the_send_interval(window, step):
    grid = View(window_s=window).grid(NOW + 0.3)
    assert (grid.step_s, grid.step_s * grid.count) == (step, window)
    assert grid.end % 5 == 0

"""Widgets as data, without a browser: what the pictures are drawn from."""

import pytest

from purpleflea_sandbox.datadog.evaluation.frames import Grid
from purpleflea_sandbox.datadog.evaluation.received import Received
from purpleflea_sandbox.datadog.evaluation.tracks import Remembered, Spread, Track
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.web import spreads, view, widgets
from purpleflea_sandbox.datadog.web.definitions import Given
from purpleflea_sandbox.datadog.web.view import View
from support.fleet_data import AGENTS, FleetData

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def store():
    found = Store()
    FleetData(found, NOW).fill(900)
    return found


def shown(store, definition, objectives=None, **variables):
    scene = widgets.Scene(
        store=store,
        definitions=Given(objectives=objectives or {}),
        view=View(),
        variables=variables,
        now=NOW,
        source=Remembered(Received(store)),
    )
    return widgets.data(definition, scene)


def metric(query, name="a", **more):
    return {"data_source": "metrics", "name": name, "query": query, **more}


def value(query, formula="a", **more):
    request = {"queries": [query], "formulas": [{"formula": formula}], **more}
    return {"type": "query_value", "title": "x", "requests": [request]}


@pytest.mark.parametrize(
    ("aggregator", "expected"), [("last", 9), ("max", 9), ("min", 1), ("avg", 5), ("sum", 15)]
)
def test_a_figure_is_reduced_over_time_as_its_query_says(aggregator, expected):
    store = Store()
    for ago, amount in ((600, 1), (300, 5), (0, 9)):
        series = store.series.open("orders", "count", tags=("a:b",), host="")
        store.series.add(series, int(NOW) - ago, amount)
    query = metric("sum:orders{*}.as_count()", aggregator=aggregator)
    assert shown(store, value(query))["value"] == expected


@pytest.mark.parametrize(
    ("amount", "tone"), [(16, "bad"), (15, "warn"), (9, "warn"), (8, ""), (-1, "good")]
)
def test_the_first_format_that_holds_gives_the_tone(amount, tone):
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


def test_variables_filter_and_a_list_is_cut_in_its_order(store):
    request = {
        "queries": [metric("sum:agent.heartbeat{$agent_id} by {agent_id}.as_count()", aggregator="sum")],
        "formulas": [{"formula": "a", "limit": {"count": 2, "order": "asc"}}],
    }  # fmt: skip
    widget = {"type": "toplist", "title": "x", "requests": [request]}
    assert len(shown(store, widget)["rows"]) == 2
    assert [row["name"] for row in shown(store, widget, agent_id=AGENTS[1])["rows"]] == [AGENTS[1]]


def test_a_picture_of_a_thousand_lines_shows_the_largest_and_says_how_many_there_are():
    store = Store()
    for number in range(100):
        series = store.series.open("x", "gauge", tags=(f"agent_id:{number:03}",), host="")
        store.series.add(series, int(NOW), number)
    request = {"queries": [metric("max:x{*} by {agent_id}")], "formulas": [{"formula": "a"}]}
    found = shown(store, {"type": "timeseries", "title": "x", "requests": [request]})
    assert (found["found"], len(found["series"])) == (100, widgets.MOST_SERIES)
    assert found["series"][-1]["name"] == "099"
    assert found["series"][0]["name"] == "070"


def test_without_formulas_the_queries_stand_for_themselves(store):
    request = {"queries": [metric("max:agent.risk.max_drawdown_pct{*}")]}
    found = shown(store, {"type": "timeseries", "title": "Drawdown", "requests": [request]})
    assert [one["name"] for one in found["series"]] == ["Drawdown"]


def test_notes_and_objectives_are_shown(store):
    assert shown(store, {"type": "note", "content": "read me"}) == {"text": "read me"}
    objective = {
        "name": "API",
        "query": {
            "numerator": "sum:agent.heartbeat{agent_id:momentum-0}.as_count()",
            "denominator": "sum:agent.heartbeat{*}.as_count()",
        },
        "thresholds": [{"timeframe": "30d", "target": 20.0, "warning": 40.0}],
    }
    found = shown(store, {"type": "slo", "slo_id": "s"}, {"s": objective})
    assert found["success"] == pytest.approx(100 / 3)
    assert found["budget_left"] == pytest.approx(100 / 6)
    assert found["tone"] == "warn"
    assert shown(store, {"type": "slo", "slo_id": "t"})["refusal"] == "there is no SLO t"


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"type": "hostmap"}, "widgets of type hostmap are not shown here"),
        ({"type": "timeseries", "title": "x"}, "the definition lacks something: KeyError('requests')"),
        (value(metric("top(max:a{*})")), "unreadable query"),
        (value(metric("max:a{*}"), "b"), "names a query 'b'"),
        (
            {"type": "heatmap", "requests": [{"query": metric("max:a{*}")}]},
            "a distribution is drawn of histogram",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_says_why(store, definition, reason):
    assert reason in shown(store, definition)["refusal"]


def track(*values, ago=0.0, weight=1.0):
    spread = Spread(
        timestamp=NOW - ago,
        count=len(values) * weight,
        sum=sum(values),
        min=min(values),
        max=max(values),
        samples=[(one, weight) for one in values],
    )
    return Track(tags=(), type="distribution", spreads=[spread])


GRID = Grid(end=NOW, step_s=10, count=2)


def test_a_histogram_counts_every_value_once_by_its_weight():
    found = spreads.distribution([track(1, 2, 3, ago=15), track(99, 500, weight=3)], GRID)
    assert sum(found["counts"]) == found["total"] == 9
    assert found["edges"][0] == 0
    assert found["edges"] == sorted(found["edges"])
    assert found["percentiles"]["p50"] == 99


def test_what_is_larger_than_the_picture_is_in_its_last_range():
    found = spreads.distribution([track(*[1.0] * 999, 1000.0)], GRID)
    assert found["counts"][-1] == 1
    assert found["edges"][-1] < 2


def test_a_heat_map_says_when_and_where():
    found = spreads.heat_map([track(1, ago=15), track(1, 10)], GRID)
    columns = {column for column, _, _ in found["cells"]}
    assert columns == {0, 1}
    assert sum(count for _, _, count in found["cells"]) == 3


def test_without_values_there_is_nothing_to_draw():
    assert spreads.distribution([], GRID) == {
        "edges": [],
        "counts": [],
        "total": 0,
        "percentiles": {},
    }
    assert spreads.heat_map([], GRID)["cells"] == []


@pytest.mark.parametrize("text", ["", "0", "17", "1e3", "-300"])
def test_a_window_that_is_not_offered_is_refused(text):
    with pytest.raises(ValueError, match="it must be one of 300, 900, 3600, 7200"):
        view.from_query({"window": text})


def test_variables_are_read_from_the_address():
    found = view.from_query({"tpl_var_env": "e", "tpl_var_market": "", "other": "x"})
    assert found == View(variables={"env": "e"})


@pytest.mark.parametrize(("window", "step"), [(300, 20), (900, 20), (3600, 60), (7200, 120)])
def test_buckets_are_no_shorter_than_what_agents_send(window, step):
    grid = View(window_s=window).grid(NOW + 0.3)
    assert (grid.step_s, grid.step_s * grid.count) == (step, window)
    assert grid.end % 5 == 0

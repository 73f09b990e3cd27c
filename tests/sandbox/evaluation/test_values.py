import pytest

from purpleflea_sandbox.datadog.evaluation import time_grid
from purpleflea_sandbox.datadog.evaluation.data_source import StoreSource
from purpleflea_sandbox.datadog.evaluation.grouped_series import bind_variables
from purpleflea_sandbox.datadog.evaluation.time_grid import TimeGrid
from purpleflea_sandbox.datadog.evaluation.values import (
    CountResults,
    Evaluator,
    UnsupportedQueryError,
)
from purpleflea_sandbox.datadog.queries import read


def frame(received, text, *, window=60, step=10, **settings):
    grid = TimeGrid(end=received.now, step_s=step, count=window // step)
    evaluator = Evaluator(source=StoreSource(received.store), grid=grid, **settings)
    return {
        ",".join(value for _, value in group): list(values)
        for group, values in evaluator.of(read.series(text)).items()
    }


def test_bucket_includes_its_end_and_excludes_its_start(received):
    for ago in (0, 9, 10, 19, 20):
        received.count("orders", 1, f"t:{ago}", ago=ago)
    assert frame(received, "sum:orders{*}.as_count()", window=30) == {"": [1, 2, 2]}


def test_points_outside_the_window_are_ignored(received):
    received.count("orders", 5, ago=30)
    received.count("orders", 7, ago=-1)
    assert frame(received, "sum:orders{*}.as_count()", window=30) == {}


@pytest.mark.parametrize(
    ("aggregator", "value"), [("sum", 9), ("avg", 3), ("min", 1), ("max", 5), ("p95", None)]
)
def test_sources_are_reduced_by_the_aggregator_and_percentiles_need_a_distribution(
    received, aggregator, value
):
    for name, amount in (("a", 1), ("b", 3), ("c", 5)):
        received.gauge("balance", amount, f"agent_id:{name}")
    values = frame(received, f"{aggregator}:balance{{*}}", window=10)
    assert values == ({"": [value]} if value is not None else {})


@pytest.mark.parametrize(
    ("aggregator", "value"),
    [("sum", 60), ("avg", 20), ("min", 1), ("max", 30), ("p50", 29), ("p95", 30), ("p99", 30)],
)
def test_a_distribution_is_reduced_over_its_values_not_over_its_sources(
    received, aggregator, value
):
    received.distribution("latency", [1.0], "agent_id:a")
    received.distribution("latency", [29.0, 30.0], "agent_id:b")
    assert frame(received, f"{aggregator}:latency{{*}}", window=10) == {"": [value]}


def test_series_are_grouped_by_tag_and_omitted_without_it(received):
    received.gauge("balance", 1, "agent_id:a", "env:e")
    received.gauge("balance", 2, "agent_id:b", "env:e")
    received.gauge("balance", 99, "env:e")
    assert frame(received, "sum:balance{*} by {agent_id}", window=10) == {"a": [1], "b": [2]}
    assert frame(received, "sum:balance{*} by {env,agent_id}", window=10) == {
        "e,a": [1],
        "e,b": [2],
    }


def test_a_host_is_a_tag(received):
    received.gauge("balance", 1, "agent_id:a")
    assert frame(received, "sum:balance{host:node-1} by {host}", window=10) == {"node-1": [1]}


@pytest.mark.parametrize(
    ("filters", "value"),
    [
        ("*", 7),
        ("agent_id:a", 1),
        ("!agent_id:a", 6),
        ("agent_id:b*", 6),
        ("!agent_id:b*", 1),
        ("agent_id:b1,env:e", 2),
        ("agent_id:a,env:f", None),
    ],
)
def test_all_filters_must_match(received, filters, value):
    received.gauge("balance", 1, "agent_id:a", "env:e")
    received.gauge("balance", 2, "agent_id:b1", "env:e")
    received.gauge("balance", 4, "agent_id:b2", "env:f")
    values = frame(received, f"sum:balance{{{filters}}}", window=10)
    assert values.get("", [None]) == [value]


def test_gaps_are_interpolated_for_gauges_but_not_for_counts(received):
    for ago, value in ((50, 1), (20, 4)):
        received.gauge("balance", value, ago=ago)
        received.count("orders", value, ago=ago)
    assert frame(received, "sum:balance{*}") == {"": [1, 2, 3, 4, None, None]}
    assert frame(received, "sum:orders{*}.as_count()") == {"": [1, None, None, 4, None, None]}


def test_gap_of_more_than_five_minutes_is_not_interpolated(received):
    received.gauge("balance", 1, ago=360)
    received.gauge("balance", 2, ago=0)
    values = frame(received, "sum:balance{*}", window=420, step=60)[""]
    assert values == [1, None, None, None, None, None, 2]


def test_chart_repeats_the_last_value_of_a_gauge_for_the_hold_time(received):
    received.gauge("balance", 3, ago=40)
    values = frame(received, "sum:balance{*}", hold_s=20)
    assert values == {"": [None, 3, 3, 3, None, None]}


def test_chart_interpolates_the_gaps_of_a_distribution(received):
    for ago, value in ((40, 1.0), (0, 5.0)):
        received.distribution("latency", [value], ago=ago)
    assert frame(received, "p95:latency{*}", hold_s=60) == {"": [None, 1, 2, 3, 4, 5]}
    assert frame(received, "p95:latency{*}") == {"": [None, 1, None, None, None, 5]}


def test_rate_is_multiplied_by_its_interval_as_a_count(received):
    received.send("calls", "rate", 2.0)
    assert frame(received, "sum:calls{*}.as_count()", window=10) == {"": [20]}
    assert frame(received, "sum:calls{*}", window=10) == {"": [2]}


def test_missing_counts_on_one_side_are_zero(received):
    received.count("calls", 4, "agent_id:a")
    received.count("calls", 4, "agent_id:b")
    received.count("failures", 1, "agent_id:b")
    text = "sum:failures{*} by {agent_id}.as_count() / sum:calls{*} by {agent_id}.as_count() * 100"
    assert frame(received, text, window=10) == {"a": [0], "b": [25]}


def test_division_by_zero_and_missing_data_give_no_value(received):
    received.count("calls", 0)
    received.count("failures", 3)
    assert frame(received, "sum:failures{*}.as_count() / sum:calls{*}.as_count()", window=10) == {
        "": [None]
    }
    assert frame(received, "100 - sum:none{*}.as_count() / sum:nil{*}.as_count()", window=10) == {}


def test_missing_gauges_on_one_side_give_no_value(received):
    received.gauge("realized", 1, "market:a")
    assert frame(received, "sum:realized{*} + sum:open{*}", window=10) == {"": [None]}


def test_side_without_groups_is_combined_with_every_group(received):
    received.gauge("part", 1, "agent_id:a")
    received.gauge("part", 3, "agent_id:b")
    received.gauge("whole", 4)
    for text, expected in (
        ("sum:part{*} by {agent_id} / sum:whole{*}", {"a": [0.25], "b": [0.75]}),
        ("sum:whole{*} - sum:part{*} by {agent_id}", {"a": [3], "b": [1]}),
    ):
        assert frame(received, text, window=10) == expected


def formula(received, text, names):
    grid = TimeGrid(end=received.now, step_s=10, count=1)
    evaluator = Evaluator(source=StoreSource(received.store), grid=grid)
    return evaluator.of(read.formula(text), names)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count_nonzero(x)", {(): [1]}),
        ("count_not_null(x)", {(): [2]}),
        ("abs(x)", {(("a", "1"),): [2], (("a", "2"),): [0], (("a", "3"),): [None]}),
        ("default_zero(x)", {(("a", "1"),): [-2], (("a", "2"),): [0], (("a", "3"),): [0]}),
        ("x + 1", {(("a", "1"),): [-1], (("a", "2"),): [1], (("a", "3"),): [None]}),
    ],
)
def test_formulas_work_on_named_queries(received, text, value):
    names = {"x": {(("a", "1"),): [-2.0], (("a", "2"),): [0.0], (("a", "3"),): [None]}}
    assert formula(received, text, names) == value


def test_formula_of_counts_treats_missing_counts_as_zero(received):
    names = CountResults({"failed": {}, "total": {(): [4.0]}})
    assert formula(received, "100 - failed / total * 100", names) == {(): [100]}
    assert formula(received, "count_nonzero(failed)", names) == {}


@pytest.mark.parametrize("text", ["missing + 1", "derivative(x)", "abs(x, x)"])
def test_unsupported_expression_is_rejected(received, text):
    with pytest.raises(UnsupportedQueryError):
        formula(received, text, {"x": {}})


def test_anomalies_are_evaluated_only_in_monitors(received):
    with pytest.raises(UnsupportedQueryError, match="only evaluated in a monitor"):
        frame(received, "anomalies(sum:a{*}, 'agile', 3)")


def test_variable_filters_by_its_value_and_star_matches_all(received):
    expression = read.series("sum:a{$env,$agent_id,realized:true} + 1")
    values = bind_variables(expression, {"env": "e", "agent_id": "*"})
    assert values == read.series("sum:a{env:e,realized:true} + 1")


def test_trace_metrics_come_from_measured_spans_in_seconds(received):
    received.span("agent.order.execute", 0.5)
    received.span("agent.order.execute", 0.7, ago=1)
    received.span("agent.order.execute", 9, metrics={})
    received.span("agent.order.execute", 9, meta={"env": "other"})
    received.span("other", 9)
    received.span("agent.order.execute", 9, ago=500)
    values = frame(received, "max:trace.agent.order.execute{env:e,service:s}", window=10)
    assert values == {"": [0.7]}
    by_agent = "max:trace.agent.order.execute{*} by {agent_id}"
    assert frame(received, by_agent, window=10) == {}, "a span's own tags are no tags of its metric"


def test_buckets_are_round_and_not_too_many():
    assert [
        time_grid.round_grid(w, 0, max_buckets=60).step_s
        for w in (60, 300, 3600, 86400, 10_000_000)
    ] == [
        1,
        5,
        60,
        1800,
        10_000_000 / 60,
    ]
    grid = time_grid.round_grid(300, 1000, max_buckets=60)
    assert (grid.count, grid.times[0], grid.times[-1]) == (60, 705, 1000)

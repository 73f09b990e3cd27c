import pytest

from purpleflea_sandbox.datadog.evaluation import frames
from purpleflea_sandbox.datadog.evaluation.frames import Grid
from purpleflea_sandbox.datadog.evaluation.received import Received
from purpleflea_sandbox.datadog.evaluation.tracks import bound
from purpleflea_sandbox.datadog.evaluation.values import Counted, Evaluator, RefusedError
from purpleflea_sandbox.datadog.queries import read


def frame(world, text, *, window=60, step=10, **settings):
    grid = Grid(end=world.now, step_s=step, count=window // step)
    evaluator = Evaluator(source=Received(world.store), grid=grid, **settings)
    return {
        ",".join(value for _, value in group): list(values)
        for group, values in evaluator.of(read.series(text)).items()
    }


def test_a_bucket_holds_what_came_after_its_start_and_until_its_end(world):
    for ago in (0, 9, 10, 19, 20):
        world.count("orders", 1, f"t:{ago}", ago=ago)
    assert frame(world, "sum:orders{*}.as_count()", window=30) == {"": [1, 2, 2]}


def test_what_came_outside_the_window_does_not_count(world):
    world.count("orders", 5, ago=30)
    world.count("orders", 7, ago=-1)
    assert frame(world, "sum:orders{*}.as_count()", window=30) == {}


@pytest.mark.parametrize(
    ("how", "value"), [("sum", 9), ("avg", 3), ("min", 1), ("max", 5), ("p95", None)]
)
def test_sources_are_reduced_by_the_aggregator_and_percentiles_need_a_distribution(
    world, how, value
):
    for name, amount in (("a", 1), ("b", 3), ("c", 5)):
        world.gauge("balance", amount, f"agent_id:{name}")
    found = frame(world, f"{how}:balance{{*}}", window=10)
    assert found == ({"": [value]} if value is not None else {})


@pytest.mark.parametrize(
    ("how", "value"),
    [("sum", 60), ("avg", 20), ("min", 1), ("max", 30), ("p50", 29), ("p95", 30), ("p99", 30)],
)
def test_a_distribution_is_reduced_over_its_values_not_over_its_sources(world, how, value):
    world.spread("latency", [1.0], "agent_id:a")
    world.spread("latency", [29.0, 30.0], "agent_id:b")
    assert frame(world, f"{how}:latency{{*}}", window=10) == {"": [value]}


def test_groups_are_by_tag_and_what_lacks_the_tag_is_left_out(world):
    world.gauge("balance", 1, "agent_id:a", "env:e")
    world.gauge("balance", 2, "agent_id:b", "env:e")
    world.gauge("balance", 99, "env:e")
    assert frame(world, "sum:balance{*} by {agent_id}", window=10) == {"a": [1], "b": [2]}
    assert frame(world, "sum:balance{*} by {env,agent_id}", window=10) == {"e,a": [1], "e,b": [2]}


def test_a_host_is_a_tag(world):
    world.gauge("balance", 1, "agent_id:a")
    assert frame(world, "sum:balance{host:node-1} by {host}", window=10) == {"node-1": [1]}


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
def test_filters_must_all_hold(world, filters, value):
    world.gauge("balance", 1, "agent_id:a", "env:e")
    world.gauge("balance", 2, "agent_id:b1", "env:e")
    world.gauge("balance", 4, "agent_id:b2", "env:f")
    found = frame(world, f"sum:balance{{{filters}}}", window=10)
    assert found.get("", [None]) == [value]


def test_gaps_of_a_gauge_are_bridged_by_a_line_and_those_of_a_count_are_not(world):
    for ago, value in ((50, 1), (20, 4)):
        world.gauge("balance", value, ago=ago)
        world.count("orders", value, ago=ago)
    assert frame(world, "sum:balance{*}") == {"": [1, 2, 3, 4, None, None]}
    assert frame(world, "sum:orders{*}.as_count()") == {"": [1, None, None, 4, None, None]}


def test_a_gap_of_more_than_five_minutes_stays_a_gap(world):
    world.gauge("balance", 1, ago=360)
    world.gauge("balance", 2, ago=0)
    values = frame(world, "sum:balance{*}", window=420, step=60)[""]
    assert values == [1, None, None, None, None, None, 2]


def test_a_picture_holds_the_last_value_of_a_gauge_for_a_while(world):
    world.gauge("balance", 3, ago=40)
    found = frame(world, "sum:balance{*}", hold_s=20)
    assert found == {"": [None, 3, 3, 3, None, None]}


def test_a_picture_bridges_the_gaps_of_a_distribution(world):
    for ago, value in ((40, 1.0), (0, 5.0)):
        world.spread("latency", [value], ago=ago)
    assert frame(world, "p95:latency{*}", hold_s=60) == {"": [None, 1, 2, 3, 4, 5]}
    assert frame(world, "p95:latency{*}") == {"": [None, 1, None, None, None, 5]}


def test_a_rate_counts_as_what_it_is_per_interval(world):
    world.send("calls", "rate", 2.0)
    assert frame(world, "sum:calls{*}.as_count()", window=10) == {"": [20]}
    assert frame(world, "sum:calls{*}", window=10) == {"": [2]}


def test_counts_that_are_missing_on_one_side_are_zero(world):
    world.count("calls", 4, "agent_id:a")
    world.count("calls", 4, "agent_id:b")
    world.count("failures", 1, "agent_id:b")
    text = "sum:failures{*} by {agent_id}.as_count() / sum:calls{*} by {agent_id}.as_count() * 100"
    assert frame(world, text, window=10) == {"a": [0], "b": [25]}


def test_nothing_is_divided_by_zero_and_no_data_is_no_hundred_percent(world):
    world.count("calls", 0)
    world.count("failures", 3)
    assert frame(world, "sum:failures{*}.as_count() / sum:calls{*}.as_count()", window=10) == {
        "": [None]
    }
    assert frame(world, "100 - sum:none{*}.as_count() / sum:nil{*}.as_count()", window=10) == {}


def test_gauges_that_are_missing_on_one_side_give_no_value(world):
    world.gauge("realized", 1, "market:a")
    assert frame(world, "sum:realized{*} + sum:open{*}", window=10) == {"": [None]}


def test_one_side_without_groups_meets_every_group(world):
    world.gauge("part", 1, "agent_id:a")
    world.gauge("part", 3, "agent_id:b")
    world.gauge("whole", 4)
    for text, expected in (
        ("sum:part{*} by {agent_id} / sum:whole{*}", {"a": [0.25], "b": [0.75]}),
        ("sum:whole{*} - sum:part{*} by {agent_id}", {"a": [3], "b": [1]}),
    ):
        assert frame(world, text, window=10) == expected


def formula(world, text, names):
    grid = Grid(end=world.now, step_s=10, count=1)
    evaluator = Evaluator(source=Received(world.store), grid=grid)
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
def test_formulas_work_on_named_queries(world, text, value):
    names = {"x": {(("a", "1"),): [-2.0], (("a", "2"),): [0.0], (("a", "3"),): [None]}}
    assert formula(world, text, names) == value


def test_a_formula_of_counts_takes_missing_ones_for_zero(world):
    names = Counted({"failed": {}, "made": {(): [4.0]}})
    assert formula(world, "100 - failed / made * 100", names) == {(): [100]}
    assert formula(world, "count_nonzero(failed)", names) == {}


@pytest.mark.parametrize("text", ["missing + 1", "derivative(x)", "abs(x, x)"])
def test_what_is_not_evaluated_is_refused(world, text):
    with pytest.raises(RefusedError):
        formula(world, text, {"x": {}})


def test_anomalies_are_for_monitors(world):
    with pytest.raises(RefusedError, match="only evaluated in a monitor"):
        frame(world, "anomalies(sum:a{*}, 'agile', 3)")


def test_variables_filter_by_their_value_and_a_star_filters_nothing(world):
    expression = read.series("sum:a{$env,$agent_id,realized:true} + 1")
    found = bound(expression, {"env": "e", "agent_id": "*"})
    assert found == read.series("sum:a{env:e,realized:true} + 1")


def test_trace_metrics_come_from_measured_spans_in_seconds(world):
    world.span("agent.order.execute", 0.5)
    world.span("agent.order.execute", 0.7, ago=1)
    world.span("agent.order.execute", 9, metrics={})
    world.span("agent.order.execute", 9, meta={"env": "other"})
    world.span("other", 9)
    world.span("agent.order.execute", 9, ago=500)
    found = frame(world, "max:trace.agent.order.execute{env:e,service:s}", window=10)
    assert found == {"": [0.7]}
    by_agent = "max:trace.agent.order.execute{*} by {agent_id}"
    assert frame(world, by_agent, window=10) == {}, "a span's own tags are no tags of its metric"


def test_buckets_are_round_and_not_too_many():
    assert [frames.steps(w, 0, most=60).step_s for w in (60, 300, 3600, 86400, 10_000_000)] == [
        1,
        5,
        60,
        1800,
        10_000_000 / 60,
    ]
    grid = frames.steps(300, 1000, most=60)
    assert (grid.count, grid.times[0], grid.times[-1]) == (60, 705, 1000)

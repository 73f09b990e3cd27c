"""Queries of monitors: the facts that people get wrong, in one table each."""

import pytest

from purpleflea_sandbox.datadog.evaluation.values import RefusedError

ERRORS = (
    "sum(last_5m):sum:e{*} by {agent_id}.as_count() / sum:t{*} by {agent_id}.as_count() * 100 > 5"
)


def test_counts_are_added_up_before_they_are_divided(world):
    """The documented example: 15 errors of 50 calls are 30 %, not the sum of five ratios."""
    for minute, errors in enumerate((1, 2, 3, 4, 5)):
        world.count("e", errors, "agent_id:a", ago=280 - 60 * minute)
        world.count("t", 10, "agent_id:a", ago=280 - 60 * minute)
    assert world.values(ERRORS) == {"a": pytest.approx(30)}


def test_an_agent_that_never_failed_has_an_error_rate_of_zero(world):
    world.count("t", 10, "agent_id:a")
    assert world.values(ERRORS) == {"a": 0}


@pytest.mark.parametrize(
    ("aggregation", "value"), [("max", 9), ("min", 1), ("avg", 5), ("sum", 15)]
)
def test_a_gauge_is_reduced_over_the_window(world, aggregation, value):
    space = "max" if aggregation == "max" else "min"
    for ago, amount in ((290, 1), (285, 5), (280, 9)):
        world.gauge("drawdown", amount, "agent_id:a", ago=ago)
    world.gauge("drawdown", 99, "agent_id:a", ago=301)
    query = f"{aggregation}(last_5m):{space}:drawdown{{*}} by {{agent_id}} > 15"
    assert world.values(query) == {"a": value}


def test_a_percentile_is_taken_over_all_values_of_the_window(world):
    world.spread("latency", [10.0] * 90, "agent_id:a", ago=200)
    world.spread("latency", [500.0] * 10, "agent_id:a", ago=100)
    query = "percentile(last_5m):p95:latency{*} by {agent_id} > 1000"
    assert world.values(query) == {"a": 500}


def test_a_percentile_of_something_else_than_a_distribution_never_has_data(world):
    world.gauge("latency", 10, "agent_id:a")
    assert world.values("percentile(last_5m):p95:latency{*} by {agent_id} > 1") == {}


def test_a_percentile_of_spans_is_in_seconds(world):
    for seconds in (0.1, 0.2, 2.0):
        world.span("agent.order.execute", seconds)
    query = "percentile(last_5m):p95:trace.agent.order.execute{env:e,service:s} > 1"
    assert world.values(query) == {"*": 2.0}


def test_a_count_of_nothing_has_no_value(world):
    world.count("beats", 1, "agent_id:a", ago=301)
    assert world.values("sum(last_5m):sum:beats{*} by {agent_id}.as_count() < 1") == {}


LOGS = 'logs("service:s @event_type:escrow @escrow.status:failed").index("*").rollup("count")'


def test_logs_are_counted_by_tag_and_never_by_an_attribute_of_that_name(world):
    failed = {"event_type": "escrow", "escrow.status": "failed"}
    world.log(tags="agent_id:a", **failed)
    world.log(tags="agent_id:a", **failed)
    world.log(agent_id="b", **failed)
    world.log(tags="agent_id:a", event_type="escrow", **{"escrow.status": "released"})
    world.log(tags="agent_id:a", ago=601, **failed)
    world.log(tags="agent_id:a", service="other", **failed)
    world.log(**failed)
    query = LOGS + '.by("agent_id").last("10m") > 5'
    assert world.values(query, "log alert") == {"a": 2}
    assert world.values(LOGS + '.last("10m") > 5', "log alert") == {"*": 4}


@pytest.mark.parametrize(
    ("search", "count"),
    [
        ("@market:BTC-USD", 1),
        ("@market:btc-usd", 0),
        ("@market:BTC*", 1),
        ("-@market:BTC-USD", 1),
        ("status:info", 2),
        ("@nested.a:1", 1),
        ("@list:two", 1),
        ("env:E", 2),
    ],
)
def test_tags_are_searched_in_any_case_and_attributes_in_theirs(world, search, count):
    world.log(tags="env:e", market="BTC-USD", nested={"a": 1})
    world.log(tags="env:e", market="ETH-USD", list=["one", "two"])
    query = f'logs("{search}").index("*").rollup("count").last("5m") > 1'
    assert world.values(query, "log alert").get("*", 0) == count


def test_a_facet_groups_by_attribute(world):
    world.log(market="BTC-USD")
    query = 'logs("service:s").index("*").rollup("count").by("@market").last("5m") > 1'
    assert world.values(query, "log alert") == {"BTC-USD": 1}


OBJECTIVE = {
    "query": {
        "numerator": "sum:t{success:true}.as_count()",
        "denominator": "sum:t{*}.as_count()",
    },
    "thresholds": [{"timeframe": "30d", "target": 99.0}],
}
BURN = 'burn_rate("x").over("30d").long_window("1h").short_window("5m") > 14.4'


@pytest.mark.parametrize(
    ("failed_early", "failed_late", "rate"),
    [(0, 0, 0), (20, 0, 0), (0, 20, 10), (20, 20, 20)],
)
def test_an_error_budget_burns_as_fast_as_in_its_slower_window(
    world, failed_early, failed_late, rate
):
    world.objectives["x"] = OBJECTIVE
    for failed, ago in ((failed_early, 1000), (failed_late, 10)):
        world.count("t", 100 - failed, "success:true", ago=ago)
        world.count("t", failed, "success:false", ago=ago)
    assert world.values(BURN, "slo alert") == {"*": pytest.approx(rate)}


def test_a_burn_rate_without_data_in_a_window_has_no_value(world):
    world.objectives["x"] = OBJECTIVE
    world.count("t", 100, "success:false", ago=1000)
    assert world.values(BURN, "slo alert") == {}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (BURN, "there is no SLO x"),
        (BURN.replace('"x"', '"y"').replace("30d", "7d"), "no target over 7 days"),
    ],
)
def test_a_burn_rate_of_nothing_is_refused(world, query, reason):
    world.objectives["y"] = OBJECTIVE
    with pytest.raises(RefusedError, match=reason):
        world.values(query, "slo alert")


def test_a_time_aggregation_that_is_not_known_is_refused(world):
    with pytest.raises(RefusedError, match=r"change\(...\) is not evaluated"):
        world.values("change(last_5m):max:a{*} > 1")


ANOMALY = (
    "avg(last_4h):anomalies(sum:pnl{*} by {agent_id}, 'agile', 3, direction='%s', interval=60, "
    "alert_window='last_15m', count_default_zero='true') >= 1"
)


@pytest.mark.parametrize(
    ("direction", "recent", "share"),
    [
        ("below", 50, 1),
        ("below", 150, 0),
        ("above", 150, 1),
        ("both", 50, 1),
        ("both", 100, 0),
    ],
)
def test_what_leaves_its_usual_band_is_an_anomaly(world, direction, recent, share):
    for minute in range(60):
        usual = 100 + minute % 3
        world.gauge("pnl", recent if minute >= 45 else usual, "agent_id:a", ago=3570 - 60 * minute)
    assert world.values(ANOMALY % direction) == {"a": share}


def test_without_a_history_nothing_is_unusual(world):
    for minute in range(20):
        world.gauge("pnl", minute**3, "agent_id:a", ago=60 * minute)
    assert world.values(ANOMALY % "above") == {}

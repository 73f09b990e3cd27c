"""Values of monitor queries, with one table per rule that is easy to get wrong."""

import pytest

from purpleflea_sandbox.datadog.evaluation.values import UnsupportedQueryError

ERRORS = (
    "sum(last_5m):sum:e{*} by {agent_id}.as_count() / sum:t{*} by {agent_id}.as_count() * 100 > 5"
)


def test_counts_are_added_up_before_they_are_divided(received):
    """Use the documented example: 15 errors of 50 calls are 30 %, not the sum of five ratios."""
    for minute, errors in enumerate((1, 2, 3, 4, 5)):
        received.count("e", errors, "agent_id:a", ago=280 - 60 * minute)
        received.count("t", 10, "agent_id:a", ago=280 - 60 * minute)
    assert received.values(ERRORS) == {"a": pytest.approx(30)}


def test_an_agent_that_never_failed_has_an_error_rate_of_zero(received):
    received.count("t", 10, "agent_id:a")
    assert received.values(ERRORS) == {"a": 0}


@pytest.mark.parametrize(
    ("aggregation", "value"), [("max", 9), ("min", 1), ("avg", 5), ("sum", 15)]
)
def test_a_gauge_is_reduced_over_the_window(received, aggregation, value):
    space = "max" if aggregation == "max" else "min"
    for ago, amount in ((290, 1), (285, 5), (280, 9)):
        received.gauge("drawdown", amount, "agent_id:a", ago=ago)
    received.gauge("drawdown", 99, "agent_id:a", ago=301)
    query = f"{aggregation}(last_5m):{space}:drawdown{{*}} by {{agent_id}} > 15"
    assert received.values(query) == {"a": value}


def test_a_percentile_is_taken_over_all_values_of_the_window(received):
    received.distribution("latency", [10.0] * 90, "agent_id:a", ago=200)
    received.distribution("latency", [500.0] * 10, "agent_id:a", ago=100)
    query = "percentile(last_5m):p95:latency{*} by {agent_id} > 1000"
    assert received.values(query) == {"a": 500}


def test_percentile_of_a_gauge_has_no_data(received):
    received.gauge("latency", 10, "agent_id:a")
    assert received.values("percentile(last_5m):p95:latency{*} by {agent_id} > 1") == {}


def test_a_percentile_of_spans_is_in_seconds(received):
    for seconds in (0.1, 0.2, 2.0):
        received.span("agent.order.execute", seconds)
    query = "percentile(last_5m):p95:trace.agent.order.execute{env:e,service:s} > 1"
    assert received.values(query) == {"*": 2.0}


def test_count_without_data_has_no_value(received):
    received.count("beats", 1, "agent_id:a", ago=301)
    assert received.values("sum(last_5m):sum:beats{*} by {agent_id}.as_count() < 1") == {}


LOGS = 'logs("service:s @event_type:escrow @escrow.status:failed").index("*").rollup("count")'


def test_logs_are_counted_by_tag_and_never_by_an_attribute_of_that_name(received):
    failed = {"event_type": "escrow", "escrow.status": "failed"}
    received.log(tags="agent_id:a", **failed)
    received.log(tags="agent_id:a", **failed)
    received.log(agent_id="b", **failed)
    received.log(tags="agent_id:a", event_type="escrow", **{"escrow.status": "released"})
    received.log(tags="agent_id:a", ago=601, **failed)
    received.log(tags="agent_id:a", service="other", **failed)
    received.log(**failed)
    query = LOGS + '.by("agent_id").last("10m") > 5'
    assert received.values(query, "log alert") == {"a": 2}
    assert received.values(LOGS + '.last("10m") > 5', "log alert") == {"*": 4}


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
def test_tags_match_case_insensitively_and_attributes_case_sensitively(received, search, count):
    received.log(tags="env:e", market="BTC-USD", nested={"a": 1})
    received.log(tags="env:e", market="ETH-USD", list=["one", "two"])
    query = f'logs("{search}").index("*").rollup("count").last("5m") > 1'
    assert received.values(query, "log alert").get("*", 0) == count


def test_a_facet_groups_by_attribute(received):
    received.log(market="BTC-USD")
    query = 'logs("service:s").index("*").rollup("count").by("@market").last("5m") > 1'
    assert received.values(query, "log alert") == {"BTC-USD": 1}


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
def test_burn_rate_is_the_lower_rate_of_both_windows(received, failed_early, failed_late, rate):
    received.objectives["x"] = OBJECTIVE
    for failed, ago in ((failed_early, 1000), (failed_late, 10)):
        received.count("t", 100 - failed, "success:true", ago=ago)
        received.count("t", failed, "success:false", ago=ago)
    assert received.values(BURN, "slo alert") == {"*": pytest.approx(rate)}


def test_a_burn_rate_without_data_in_a_window_has_no_value(received):
    received.objectives["x"] = OBJECTIVE
    received.count("t", 100, "success:false", ago=1000)
    assert received.values(BURN, "slo alert") == {}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (BURN, "SLO x does not exist"),
        (BURN.replace('"x"', '"y"').replace("30d", "7d"), "no target over 7 days"),
    ],
)
def test_burn_rate_without_an_slo_or_target_is_rejected(received, query, reason):
    received.objectives["y"] = OBJECTIVE
    with pytest.raises(UnsupportedQueryError, match=reason):
        received.values(query, "slo alert")


def test_unknown_time_aggregation_is_rejected(received):
    with pytest.raises(UnsupportedQueryError, match=r"change\(...\) is not evaluated"):
        received.values("change(last_5m):max:a{*} > 1")


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
def test_value_outside_its_usual_band_is_an_anomaly(received, direction, recent, share):
    for minute in range(60):
        usual = 100 + minute % 3
        received.gauge(
            "pnl", recent if minute >= 45 else usual, "agent_id:a", ago=3570 - 60 * minute
        )
    assert received.values(ANOMALY % direction) == {"a": share}


def test_no_value_is_anomalous_without_history(received):
    for minute in range(20):
        received.gauge("pnl", minute**3, "agent_id:a", ago=60 * minute)
    assert received.values(ANOMALY % "above") == {}

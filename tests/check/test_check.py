"""The Agent check against a server on loopback, with Datadog's own fixtures (aggregator, dd_run_check)."""

import csv
import json
from pathlib import Path

import pytest
from datadog_checks.base import AgentCheck, ConfigurationError

from purpleflea_agent import PurpleFleaAgentCheck

CHECK = Path(__file__).parents[2] / "agent_check"
TAGS = ["agent_id:momentum-0", "strategy:momentum"]
CAN_CONNECT = "purpleflea.agent.can_connect"


def check_of(url, **options):
    return PurpleFleaAgentCheck("purpleflea_agent", {}, [{"url": url, **options}])


def test_it_emits_exactly_the_metrics_of_metadata_csv_with_their_types(
    agent, aggregator, dd_run_check
):
    dd_run_check(check_of(agent.url))

    with (CHECK / "metadata.csv").open() as file:
        metadata = {row["metric_name"]: row for row in csv.DictReader(file)}
    aggregator.assert_metrics_using_metadata(
        metadata, check_submission_type=True, check_symmetric_inclusion=True
    )
    aggregator.assert_no_duplicate_metrics()


def test_the_values_are_those_of_the_status(agent, aggregator, dd_run_check):
    dd_run_check(check_of(agent.url, tags=["desk:crypto"]))

    tags = [*TAGS, "desk:crypto"]
    for name, value in (
        ("balance_usd", 10007.5),
        ("equity_usd", 10004.25),
        ("peak_equity_usd", 10100),
        ("drawdown_pct", 0.948),
        ("positions", 1),
    ):
        aggregator.assert_metric(f"purpleflea.agent.{name}", value=value, tags=tags, count=1)
    for mode, value in (("active", 0), ("halted", 1), ("stopped", 0), ("other", 0)):
        aggregator.assert_metric("purpleflea.agent.mode", value, [*tags, f"mode:{mode}"])
    for status, value in (("filled", 41), ("rejected", 2), ("written", 1)):
        aggregator.assert_metric(
            "purpleflea.agent.orders", value, [*tags, f"order_status:{status}"]
        )
    for status, value in (("created", 2), ("released", 1)):
        aggregator.assert_metric(
            "purpleflea.agent.escrows", value, [*tags, f"escrow_status:{status}"]
        )
    for signal, value in (("metrics", 6), ("traces", 0), ("logs", 1)):
        aggregator.assert_metric(
            "purpleflea.agent.telemetry_dropped", value, [*tags, f"signal:{signal}"]
        )
    bitcoin = [*tags, "market:btc-usd"]
    aggregator.assert_metric("purpleflea.agent.realized_pnl_usd", 12.5, bitcoin)
    aggregator.assert_metric("purpleflea.agent.position.notional_usd", 1202.01, bitcoin)
    aggregator.assert_metric("purpleflea.agent.position.unrealized_pnl_usd", -3.25, bitcoin)
    aggregator.assert_service_check(CAN_CONNECT, AgentCheck.OK, tags, count=1)
    assert agent.paths == ["/v1/status"]


def test_the_service_checks_are_those_of_the_file(agent, aggregator, dd_run_check):
    check = check_of(agent.url)
    dd_run_check(check)
    agent.code = 503
    with pytest.raises(Exception, match="answered 503"):
        dd_run_check(check)

    aggregator.assert_service_checks(
        json.loads((CHECK / "assets" / "service_checks.json").read_text())
    )


def test_an_agent_that_stops_answering_is_critical_with_the_same_tags(
    agent, aggregator, dd_run_check
):
    check = check_of(agent.url)
    dd_run_check(check)
    check._url = "http://127.0.0.1:1/v1/status"
    with pytest.raises(Exception, match="does not answer"):
        dd_run_check(check)

    states = {item.status: item.tags for item in aggregator.service_checks(CAN_CONNECT)}
    assert states == {AgentCheck.OK: TAGS, AgentCheck.CRITICAL: TAGS}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"agent_id": 1, "strategy": "x"}',
        b"\xff",
        b"x" * 2**21,
        b"[" * 100_000,
    ],
    ids=lambda body: body[:16].decode(errors="replace"),
)
def test_an_answer_that_is_not_a_status_is_critical_without_metrics(
    agent, aggregator, dd_run_check, body
):
    agent.raw = body
    with pytest.raises(Exception, match="answered with"):
        dd_run_check(check_of(agent.url))

    aggregator.assert_service_check(CAN_CONNECT, AgentCheck.CRITICAL, tags=[], count=1)
    assert not aggregator.metric_names


def test_missing_and_invalid_values_are_omitted(agent, aggregator, dd_run_check):
    agent.status = {
        "agent_id": "a",
        "strategy": "s",
        "balance_usd": "lots",
        "equity_usd": "NaN",
        "drawdown_pct": True,
        "positions": "none",
        "orders": [],
        "realized_pnl_usd": {"BTC-USD": None},
    }
    dd_run_check(check_of(agent.url))

    assert not aggregator.metric_names
    aggregator.assert_service_check(CAN_CONNECT, AgentCheck.OK, count=1)


def test_a_position_without_a_market_is_omitted(agent, aggregator, dd_run_check):
    agent.status["positions"] = [
        {"market": ["BTC-USD"], "size": "1", "notional_usd": 1},
        {"market": None, "size": "1", "notional_usd": 1},
        {"market": "ETH-USD", "size": "1", "notional_usd": 7},
    ]
    dd_run_check(check_of(agent.url))

    aggregator.assert_metric("purpleflea.agent.positions", value=1, tags=TAGS, count=1)
    aggregator.assert_metric(
        "purpleflea.agent.position.notional_usd", 7, [*TAGS, "market:eth-usd"], count=1
    )


def test_an_agent_with_a_single_drop_counter_is_supported(agent, aggregator, dd_run_check):
    del agent.status["telemetry_dropped_by_signal"]
    dd_run_check(check_of(agent.url))

    aggregator.assert_metric("purpleflea.agent.telemetry_dropped", value=7, tags=TAGS, count=1)


def test_the_number_of_series_is_bounded_for_any_status(agent, aggregator, dd_run_check):
    agent.status |= {
        "mode": "Confused",
        "orders": {f"status-{number}": 1 for number in range(500)},
        "telemetry_dropped_by_signal": {f"signal-{number}": 1 for number in range(500)},
        "positions": [{"market": f"M{number}-USD", "notional_usd": 1} for number in range(500)],
        "realized_pnl_usd": {f"M{number}-USD": "1" for number in range(500)},
    }
    dd_run_check(check_of(agent.url))

    assert len(aggregator.metrics("purpleflea.agent.realized_pnl_usd")) == 32
    assert len(aggregator.metrics("purpleflea.agent.position.notional_usd")) == 32
    aggregator.assert_metric("purpleflea.agent.orders", 500, [*TAGS, "order_status:other"], count=1)
    aggregator.assert_metric("purpleflea.agent.mode", 1, [*TAGS, "mode:other"], count=1)
    assert not aggregator.metrics("purpleflea.agent.telemetry_dropped")


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ({}, "`url` is missing; set the agent's address"),
        ({"url": 8000}, "`url` is missing"),
        ({"url": "10.0.0.1:8000"}, "must be an http address, such as http://%%host%%:8000"),
        ({"url": "http://a", "tags": "desk:crypto"}, "`tags` must be a list"),
    ],
)
def test_a_configuration_error_names_the_option_and_the_remedy(dd_run_check, instance, message):
    check = PurpleFleaAgentCheck("purpleflea_agent", {}, [instance])
    with pytest.raises(Exception, match=message) as caught:
        dd_run_check(check)
    assert ConfigurationError.__name__ in str(caught.value)


def test_the_address_may_end_in_a_slash(agent, dd_run_check):
    dd_run_check(check_of(agent.url + "/"))
    assert agent.paths == ["/v1/status"]

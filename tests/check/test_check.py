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


def test_the_figures_are_those_of_the_status(agent, aggregator, dd_run_check):
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


def test_an_agent_that_fell_silent_is_critical_with_the_tags_it_had(
    agent, aggregator, dd_run_check
):
    check = check_of(agent.url)
    dd_run_check(check)
    check._url = "http://127.0.0.1:1/v1/status"
    with pytest.raises(Exception, match="does not answer"):
        dd_run_check(check)

    states = {one.status: one.tags for one in aggregator.service_checks(CAN_CONNECT)}
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
def test_an_answer_that_is_no_status_is_critical_and_sends_no_figure(
    agent, aggregator, dd_run_check, body
):
    agent.raw = body
    with pytest.raises(Exception, match="answered with"):
        dd_run_check(check_of(agent.url))

    aggregator.assert_service_check(CAN_CONNECT, AgentCheck.CRITICAL, tags=[], count=1)
    assert not aggregator.metric_names


def test_what_the_status_does_not_say_is_left_out(agent, aggregator, dd_run_check):
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


def test_a_position_without_a_name_of_a_market_is_left_out_and_the_others_are_told(
    agent, aggregator, dd_run_check
):
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


def test_an_agent_that_counts_its_losses_in_one_number_is_understood(
    agent, aggregator, dd_run_check
):
    del agent.status["telemetry_dropped_by_signal"]
    dd_run_check(check_of(agent.url))

    aggregator.assert_metric("purpleflea.agent.telemetry_dropped", value=7, tags=TAGS, count=1)


def test_whatever_the_status_holds_the_number_of_series_is_bounded(agent, aggregator, dd_run_check):
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
    ("instance", "words"),
    [
        ({}, "`url` is missing; set the agent's address"),
        ({"url": 8000}, "`url` is missing"),
        ({"url": "10.0.0.1:8000"}, "must be an http address, such as http://%%host%%:8000"),
        ({"url": "http://a", "tags": "desk:crypto"}, "`tags` must be a list"),
    ],
)
def test_a_mistake_in_the_configuration_names_the_option_and_the_remedy(
    dd_run_check, instance, words
):
    check = PurpleFleaAgentCheck("purpleflea_agent", {}, [instance])
    with pytest.raises(Exception, match=words) as caught:
        dd_run_check(check)
    assert ConfigurationError.__name__ in str(caught.value)


def test_a_slash_at_the_end_of_the_address_does_no_harm(agent, dd_run_check):
    dd_run_check(check_of(agent.url + "/"))
    assert agent.paths == ["/v1/status"]

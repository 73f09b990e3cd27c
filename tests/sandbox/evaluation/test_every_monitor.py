"""Each generated monitor fires for the state that it is about, and only then, and recovers from it."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from purpleflea_contract.metrics import HEARTBEAT_PERIOD_S
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters
from support.fleet_scenario import AGENTS, CLUSTER, Scenario

ONE = "momentum-1"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A monitor, the fault (`agent` or `operator` or `fleet` attributes), and what is notified."""

    key: str
    agent: dict[str, Any] | None = None
    fleet: dict[str, Any] | None = None
    operator: dict[str, Any] | None = None
    spans_s: float = 0.1
    group: str = ONE
    status: str = "Alert"
    fires_within: float = 6
    recovers_within: float = 11
    also: frozenset[str] = frozenset()
    """Other monitors that notify for the same fault, because the fault is theirs too."""
    says: str = ""
    recovery_says: str = ""


ROWS = (
    Row(
        key="drawdown",
        agent={"drawdown": 22},
        says="the equity was up to 22 % below its peak in the last 5m",
        recovery_says="has been below 8 % for 5m",
    ),
    Row(
        key="wallet-low",
        agent={"balance": 12},
        says="the wallet balance is $12,",
        recovery_says="is sufficient again",
    ),
    Row(
        key="position-mismatch",
        agent={"mismatches": 2},
        fires_within=11,
        says="in 2 markets the exchange reports another position",
        recovery_says="agree with the books again",
    ),
    Row(
        key="api-error-rate",
        agent={"failures": 2},
        also=frozenset({"slo-fast-burn", "slo-slow-burn"}),
        says=f"Agent {ONE}: ",
        recovery_says="the error rate is low again",
    ),
    Row(
        key="order-latency-p95",
        agent={"latency": 3000},
        says="p95 of the order latency is 3000 ms",
        recovery_says="orders are fast again",
    ),
    Row(
        key="degraded",
        agent={"latency": 3000, "failures": 2},
        also=frozenset({"api-error-rate", "order-latency-p95", "slo-fast-burn", "slo-slow-burn"}),
        says="% of the API calls fail, and p95 of the order latency is 3000 ms",
        recovery_says="API calls succeed, or orders are fast again",
    ),
    Row(
        key="order-span-p95",
        spans_s=2.0,
        group="*",
        says="p95 of order execution over all agents is 2 s",
        recovery_says="Order execution is fast again",
    ),
    Row(
        key="escrow-failures",
        agent={"escrow_failures": 1},
        recovers_within=21,
        says="escrow transactions failed in 10m",
        recovery_says="no more than the allowed number",
    ),
    Row(
        key="heartbeat",
        agent={"is_alive": False},
        says=f"No heartbeat from agent {ONE} in the last 5m",
        recovery_says="sends heartbeats again",
    ),
    Row(
        key="dropped-telemetry",
        agent={"dropped": 30},
        says="telemetry packets in 10m",
        recovery_says="no more dropped telemetry",
    ),
    Row(
        key="interval-failures",
        agent={"interval_failures": 5},
        recovers_within=21,
        says="strategy",
        recovery_says="no longer fail",
    ),
    Row(
        key="halted",
        operator={"longest_halt_h": 25},
        group=CLUSTER,
        says=f"An agent in cluster {CLUSTER} has been halted for 25 hours",
        recovery_says="No agent in cluster",
    ),
    Row(
        key="operator-silent",
        operator={"is_scraped": False},
        group=CLUSTER,
        status="No Data",
        fires_within=11,
        says=f"No operator reports the fleet in cluster {CLUSTER} for 10m",
        recovery_says="reports again",
    ),
    Row(
        key="slo-fast-burn",
        fleet={"failures": 8},
        group="*",
        also=frozenset({"api-error-rate", "slo-slow-burn"}),
        says="times the sustainable rate",
        recovery_says="at a sustainable rate again",
    ),
    Row(
        key="slo-slow-burn",
        fleet={"failures": 8},
        group="*",
        recovers_within=35,
        also=frozenset({"api-error-rate", "slo-fast-burn"}),
        says="times the sustainable rate",
        recovery_says="at a sustainable rate again",
    ),
)
WITHOUT_RECIPIENTS = {"wallet-balance", "wallet-unfunded"}
WITH_LONG_HISTORY = {"pnl-anomaly", "order-latency-anomaly"}
"""Tested in test_anomaly_monitors."""


@pytest.fixture
async def scenario(repository):
    scenario_ = Scenario.of(repository / "observability")
    await scenario_.minutes(4)
    assert scenario_.not_ok() == {}
    return scenario_


def test_every_monitor_has_a_row():
    keys = {
        item.key for item in catalog.everything(Parameters()) if item.kind is ObjectKind.MONITOR
    }
    assert keys == {row.key for row in ROWS} | WITHOUT_RECIPIENTS | WITH_LONG_HISTORY


def break_with(scenario, row):
    for target, changes in (
        *((scenario.agents[name], row.fleet) for name in AGENTS),
        (scenario.agents[ONE], row.agent),
        (scenario.operator, row.operator),
    ):
        for name, value in (changes or {}).items():
            setattr(target, name, value)
    scenario.spans_s = row.spans_s


def repair(scenario):
    fresh = Scenario.__dataclass_fields__
    scenario.agents = fresh["agents"].default_factory()
    scenario.operator = fresh["operator"].default_factory()
    scenario.spans_s = fresh["spans_s"].default


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
async def test_a_monitor_fires_for_its_fault_and_recovers(scenario, row):
    break_with(scenario, row)
    await scenario.minutes(row.fires_within)
    assert scenario.notified(row.key)[-1] == (row.group, row.status)
    said = [text for text in scenario.texts(row.key) if row.says in text]
    assert said, scenario.texts(row.key)
    assert "@slack-" in said[0]
    # Only one notification has an alert in it, and no monitor without a share in the fault notifies.
    assert [item[1] for item in scenario.notified(row.key)].count(row.status) == 1
    assert {key for key, _ in scenario.notified()} <= row.also | {row.key}

    repair(scenario)
    await scenario.minutes(row.recovers_within)
    assert f"{row.key}/{row.group}" not in scenario.not_ok()
    _, *ends = scenario.notified(row.key)[
        scenario.notified(row.key).index((row.group, row.status)) :
    ]
    last = {"OK": row.recovery_says, "Warn": "no longer critical"}[ends[-1][1]]
    assert [text for text in scenario.texts(row.key) if last in text and "@slack-" in text]


async def test_a_warning_that_ends_is_not_announced_as_the_end_of_an_alert(scenario):
    scenario.agents[ONE].drawdown = 10
    await scenario.minutes(2)
    assert scenario.notified("drawdown") == [(ONE, "Warn")]
    scenario.agents[ONE].drawdown = 3
    await scenario.minutes(7)
    assert scenario.notified("drawdown") == [(ONE, "Warn")]
    assert "@" not in scenario.texts("drawdown")[-1]


async def test_an_alert_that_becomes_a_warning_ends_for_the_paged_recipients(scenario):
    scenario.agents[ONE].latency, scenario.agents[ONE].failures = 3000, 2
    await scenario.minutes(6)
    assert scenario.notified("degraded") == [(ONE, "Alert")]
    scenario.agents[ONE].latency, scenario.agents[ONE].failures = 700, 0.6
    await scenario.minutes(6)
    assert scenario.notified("degraded") == [(ONE, "Alert"), (ONE, "Warn")]
    assert "no longer critical" in scenario.texts("degraded")[-1]
    assert "@pagerduty-trading" in scenario.texts("degraded")[-1]


@pytest.mark.parametrize(("balance", "notified"), [(0.0, False), (0.01, True), (49.0, True)])
async def test_an_agent_that_was_never_funded_is_not_an_alert(repository, balance, notified):
    scenario = Scenario.of(repository / "observability")
    scenario.agents[ONE].balance = balance
    await scenario.minutes(10)
    assert bool(scenario.notified("wallet-low")) is notified


async def test_an_agent_that_spent_everything_is_an_alert(scenario):
    scenario.agents[ONE].balance = 0
    await scenario.minutes(6)
    assert scenario.notified("wallet-low") == [(ONE, "Alert")]


@pytest.mark.parametrize(("calls", "alerts"), [(0.3, False), (0.5, True)])
async def test_a_few_calls_are_no_basis_for_an_error_rate(repository, calls, alerts):
    """0.3 calls in ten seconds are 9 in the window, and 0.5 are 15. All of them fail."""
    scenario = Scenario.of(repository / "observability")
    scenario.agents[ONE].calls = scenario.agents[ONE].failures = calls
    await scenario.minutes(12)
    assert (("api-error-rate", ONE) in scenario.notified()) is alerts


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"drawdown": 22}, "drawdown"),
        ({"balance": 12}, "wallet-low"),
        ({"mismatches": 1}, "position-mismatch"),
        ({"latency": 3000}, "order-latency-p95"),
        ({"dropped": 30}, "dropped-telemetry"),
        ({"failures": 2}, "api-error-rate"),
    ],
)
async def test_an_alert_about_an_agent_that_is_gone_resolves_before_the_group_is_dropped(
    scenario, changes, key
):
    for name, value in changes.items():
        setattr(scenario.agents[ONE], name, value)
    await scenario.minutes(11)
    assert scenario.notified(key)[-1] == (ONE, "Alert")
    del scenario.agents[ONE]
    await scenario.minutes(150, step_s=120)
    assert scenario.notified(key)[-1] == (ONE, "OK")
    assert set(scenario.not_ok()) == {f"heartbeat/{ONE}"}


async def test_a_gone_agent_leaves_the_heartbeat_monitor_after_a_day_without_a_second_alert(
    scenario,
):
    del scenario.agents[ONE]
    await scenario.minutes(24 * 60 + 10, step_s=600)
    assert scenario.not_ok() == {}
    assert [item[1] for item in scenario.notified("heartbeat")].count("Alert") == 1


async def test_an_agent_that_waits_an_hour_for_its_next_interval_alerts_only_when_it_dies(scenario):
    scenario.agents[ONE].beats_every_s = HEARTBEAT_PERIOD_S
    await scenario.minutes(65, step_s=20)
    assert scenario.notified("heartbeat") == []
    scenario.agents[ONE].is_alive = False
    await scenario.minutes(7)
    assert scenario.notified("heartbeat") == [(ONE, "Alert")]


@pytest.mark.parametrize("key", sorted(WITH_LONG_HISTORY))
async def test_anomaly_monitors_fire_after_the_delay_of_new_groups_only(received, generated, key):
    definition = json.loads((generated / "monitors" / f"{key}.json").read_text())
    received.monitors = [{**definition, "id": 1}]
    runner = received.monitor_runner()
    tags = ("env:production", "service:purpleflea-trading-agent", "agent_id:a")

    async def minutes(count, value):
        for _ in range(count):
            received.now += 60
            received.gauge("agent.trade.pnl_usd", -value, *tags, "realized:true")
            received.distribution("agent.order.latency_ms", [value], *tags)
            await runner.once()

    await minutes(60, 10)
    await minutes(20, 900)
    assert list(runner.notifications) == []
    await minutes(240, 10)
    await minutes(20, 900)
    alert = runner.notifications[-1]
    assert (str(alert.transition.after), alert.group) == ("Alert", (("agent_id", "a"),))
    await minutes(20, 10)
    assert "as usual again" in runner.notifications[-1].text

"""Scenarios of a fleet: the right generated monitors alert for the right agent."""

import pytest

from support.fleet_scenario import Agent, Scenario


@pytest.fixture
async def scenario(repository):
    scenario_ = Scenario.of(repository / "observability")
    await scenario_.minutes(4)
    assert scenario_.not_ok() == {}
    return scenario_


async def test_drawdown_alerts_for_one_agent_and_recovers_with_hysteresis(scenario):
    scenario.agents["momentum-1"].drawdown = 22
    await scenario.minutes(2)
    assert scenario.not_ok() == {"drawdown/momentum-1": "Alert"}

    scenario.agents["momentum-1"].drawdown = 10
    await scenario.minutes(8)
    assert scenario.not_ok() == {"drawdown/momentum-1": "Alert"}, "10 % is not below the recovery"

    scenario.agents["momentum-1"].drawdown = 5
    await scenario.minutes(8)
    assert scenario.not_ok() == {}
    assert scenario.notified("drawdown") == [("momentum-1", "Alert"), ("momentum-1", "OK")]


async def test_the_composite_fires_only_while_an_agent_fails_and_is_slow(scenario):
    scenario.agents["momentum-0"].failures = 4
    scenario.agents["momentum-1"].latency = 4000
    await scenario.minutes(5)
    alone = {key: state for key, state in scenario.not_ok().items() if not key.startswith("slo")}
    assert alone == {
        "api-error-rate/momentum-0": "Alert",
        "order-latency-p95/momentum-1": "Alert",
    }

    scenario.agents["momentum-0"].latency = 4000
    await scenario.minutes(5)
    assert scenario.not_ok()["degraded/momentum-0"] == "Alert"
    assert "degraded/momentum-1" not in scenario.not_ok()

    scenario.agents["momentum-0"] = Agent()
    await scenario.minutes(7)
    assert "degraded/momentum-0" not in scenario.not_ok()
    assert scenario.notified("degraded")[-1][0] == "momentum-0"
    assert scenario.notified("degraded")[-1][1] in ("OK", "Warn"), "the alert ended"


async def test_low_wallet_balance_alerts_and_a_refill_resolves_it(scenario):
    scenario.agents["reversion-0"].balance = 12
    await scenario.minutes(1)
    assert scenario.not_ok() == {
        "wallet-balance/reversion-0": "Alert",
        "wallet-low/reversion-0": "Alert",
    }
    scenario.agents["reversion-0"].balance = 512
    await scenario.minutes(6)
    assert scenario.not_ok() == {}


async def test_the_death_of_an_agent_is_one_alert_of_one_monitor(scenario):
    scenario.agents["momentum-0"].is_alive = False
    await scenario.minutes(4.5)
    assert scenario.not_ok() == {}
    await scenario.minutes(30)
    assert scenario.not_ok() == {"heartbeat/momentum-0": "Alert"}
    assert scenario.notified() == [("heartbeat", "momentum-0")]
    scenario.agents["momentum-0"].is_alive = True
    await scenario.minutes(1)
    assert scenario.not_ok() == {}
    assert scenario.notified("heartbeat") == [("momentum-0", "Alert"), ("momentum-0", "OK")]


async def test_failed_escrows_are_counted_per_agent(scenario):
    scenario.agents["momentum-1"].escrow_failures = 1
    await scenario.minutes(1)
    assert scenario.not_ok() == {"escrow-failures/momentum-1": "Alert"}
    scenario.agents["momentum-1"].escrow_failures = 0
    await scenario.minutes(11)
    assert scenario.not_ok() == {}


async def test_burn_rate_alerts_while_both_windows_exceed_the_threshold(scenario):
    for agent in scenario.agents.values():
        agent.failures = 8
    await scenario.minutes(6)
    assert scenario.not_ok()["slo-fast-burn/*"] == "Alert"
    for agent in scenario.agents.values():
        agent.failures = 0
    await scenario.minutes(6)
    assert "slo-fast-burn/*" not in scenario.not_ok(), "the short window is clean again"


async def test_continuing_alert_is_repeated_at_the_configured_interval(scenario):
    scenario.agents["momentum-1"].drawdown = 22
    await scenario.minutes(62.5)
    assert scenario.notified("drawdown") == [("momentum-1", "Alert"), ("momentum-1", "Alert")]

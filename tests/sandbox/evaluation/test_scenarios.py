"""Scenarios of a fleet: the right generated monitors alert for the right agent."""

import json
from dataclasses import dataclass, field

import pytest

from purpleflea_contract import metrics
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation_bridge import EvaluationBridge
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.store import Store
from support.definitions import define

AGENTS = ("momentum-0", "momentum-1", "reversion-0")
COMMON = ("env:production", "service:purpleflea-trading-agent")
STEP_S = 10


@dataclass(kw_only=True)
class Agent:
    """Data that an agent sends in ten seconds."""

    drawdown: float = 3.0
    balance: float = 900.0
    failures: int = 0
    latency: float = 80.0
    escrow_failures: int = 0
    is_alive: bool = True


@dataclass(kw_only=True)
class Scenario:
    """Fleet with a simulated clock."""

    ids: dict[str, int]
    organisation: Organisation
    bridge: EvaluationBridge
    now: float = 1_800_000_000.0
    agents: dict[str, Agent] = field(default_factory=lambda: {name: Agent() for name in AGENTS})

    async def minutes(self, count: float) -> None:
        """Advance the clock. Every agent sends, and all monitors are evaluated, every ten seconds."""
        for _ in range(round(count * 60 / STEP_S)):
            self.now += STEP_S
            for name, agent in self.agents.items():
                if agent.is_alive:
                    self._send(name, agent)
            await self.bridge.monitor_runner.once()

    def not_ok(self) -> dict[str, str]:
        """Return the groups that are not OK, as monitor/agent: status."""
        return {
            f"{key}/{group.removeprefix('agent_id:')}": state["status"]
            for key, number in self.ids.items()
            for group, state in self.organisation.monitors[number].groups.items()
            if state["status"] != "OK"
        }

    def _send(self, name: str, agent: Agent) -> None:
        self._point(metrics.DRAWDOWN.name, "gauge", agent.drawdown, name)
        wallet = ("currency:usdc", "wallet_type:trading")
        self._point(metrics.WALLET_BALANCE.name, "gauge", agent.balance, name, *wallet)
        self._point(metrics.HEARTBEAT.name, "count", 5, name)
        calls = metrics.API_REQUESTS.name
        self._point(calls, "count", 20 - agent.failures, name, "success:true")
        if agent.failures:
            self._point(calls, "count", agent.failures, name, "success:false")
        tags = (*COMMON, f"agent_id:{name}")
        store = self.organisation.data.series
        latency = store.open(metrics.ORDER_LATENCY.name, "distribution", tags=tags, host="n")
        store.add_values(latency, int(self.now), [agent.latency] * 5)
        for _ in range(agent.escrow_failures):
            self._log(name)

    def _point(self, metric, kind, value, name, *tags):
        store = self.organisation.data.series
        wanted = (*COMMON, f"agent_id:{name}", *tags)
        store.add(store.open(metric, kind, tags=wanted, host="n"), int(self.now), value)

    def _log(self, name: str) -> None:
        line = {
            "timestamp": int(self.now * 1000),
            "message": "Escrow event",
            "event_type": "escrow_transaction",
            "escrow.status": "failed",
            "agent_id": name,
        }
        entry = {
            "message": json.dumps(line),
            "service": COMMON[1].partition(":")[2],
            "ddtags": COMMON[0],
        }
        self.organisation.data.logs.add(messages.log(entry, self.now))


@pytest.fixture
async def scenario(repository):
    clock = [0.0]
    organisation = Organisation(Store(), now=lambda: clock[0])
    ids = define(organisation, repository / "observability")
    scenario_ = Scenario(
        ids=ids,
        organisation=organisation,
        bridge=EvaluationBridge(organisation, {"desk": "http://x"}),
    )
    organisation.now = lambda: scenario_.now
    await scenario_.minutes(4)
    assert scenario_.not_ok() == {}
    return scenario_


def notified(scenario, key):
    return [
        (
            notification.group[0][1] if notification.group else "*",
            str(notification.transition.after),
        )
        for notification in scenario.bridge.monitor_runner.notifications
        if notification.monitor_id == str(scenario.ids[key])
    ]


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
    assert notified(scenario, "drawdown") == [("momentum-1", "Alert"), ("momentum-1", "OK")]


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
    assert notified(scenario, "degraded")[-1] == ("momentum-0", "OK")


async def test_low_wallet_balance_alerts_and_a_refill_resolves_it(scenario):
    scenario.agents["reversion-0"].balance = 12
    await scenario.minutes(1)
    assert scenario.not_ok() == {"wallet-balance/reversion-0": "Alert"}
    scenario.agents["reversion-0"].balance = 512
    await scenario.minutes(6)
    assert scenario.not_ok() == {}


async def test_stopped_agent_is_no_data_for_its_heartbeat_and_alerts_nowhere_else(scenario):
    scenario.agents["momentum-0"].is_alive = False
    await scenario.minutes(9)
    assert scenario.not_ok() == {}
    await scenario.minutes(2)
    assert scenario.not_ok() == {"heartbeat/momentum-0": "No Data"}
    scenario.agents["momentum-0"].is_alive = True
    await scenario.minutes(1)
    assert scenario.not_ok() == {}
    assert notified(scenario, "heartbeat") == [("momentum-0", "No Data"), ("momentum-0", "OK")]


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
    assert notified(scenario, "drawdown") == [("momentum-1", "Alert"), ("momentum-1", "Alert")]

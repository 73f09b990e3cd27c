"""What happens to a fleet, and which of the generated monitors say so: those that should, for the right agent."""

import json
from dataclasses import dataclass, field

import pytest

from purpleflea_contract import metrics
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.observing import Observing
from support.definitions import define

AGENTS = ("momentum-0", "momentum-1", "reversion-0")
COMMON = ("env:production", "service:purpleflea-trading-agent")
STEP_S = 10


@dataclass(kw_only=True)
class Agent:
    """What an agent sends in ten seconds."""

    drawdown: float = 3.0
    balance: float = 900.0
    failures: int = 0
    latency: float = 80.0
    escrow_failures: int = 0
    is_alive: bool = True


@dataclass(kw_only=True)
class Story:
    """A fleet whose time passes when it is told to."""

    ids: dict[str, int]
    organisation: Organisation
    observing: Observing
    now: float = 1_800_000_000.0
    agents: dict[str, Agent] = field(default_factory=lambda: {name: Agent() for name in AGENTS})

    async def minutes(self, count: float) -> None:
        """Let time pass: every agent sends, everything is evaluated."""
        for _ in range(round(count * 60 / STEP_S)):
            self.now += STEP_S
            for name, agent in self.agents.items():
                if agent.is_alive:
                    self._send(name, agent)
            await self.observing.monitoring.once()

    def troubled(self) -> dict[str, str]:
        """Groups that are not OK, as monitor/agent: state."""
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
async def story(repository):
    clock = [0.0]
    organisation = Organisation(Store(), now=lambda: clock[0])
    ids = define(organisation, repository / "observability")
    found = Story(
        ids=ids, organisation=organisation, observing=Observing(organisation, {"desk": "http://x"})
    )
    organisation.now = lambda: found.now
    await found.minutes(4)
    assert found.troubled() == {}
    return found


def told(story, key):
    return [
        (note.group[0][1] if note.group else "*", str(note.turn.after))
        for note in story.observing.monitoring.notifications
        if note.monitor_id == str(story.ids[key])
    ]


async def test_a_drawdown_alerts_for_its_agent_alone_and_recovers_with_hysteresis(story):
    story.agents["momentum-1"].drawdown = 22
    await story.minutes(2)
    assert story.troubled() == {"drawdown/momentum-1": "Alert"}

    story.agents["momentum-1"].drawdown = 10
    await story.minutes(8)
    assert story.troubled() == {"drawdown/momentum-1": "Alert"}, "10 % is not below the recovery"

    story.agents["momentum-1"].drawdown = 5
    await story.minutes(8)
    assert story.troubled() == {}
    assert told(story, "drawdown") == [("momentum-1", "Alert"), ("momentum-1", "OK")]


async def test_the_composite_fires_only_while_an_agent_fails_and_is_slow(story):
    story.agents["momentum-0"].failures = 4
    story.agents["momentum-1"].latency = 4000
    await story.minutes(5)
    alone = {key: state for key, state in story.troubled().items() if not key.startswith("slo")}
    assert alone == {
        "api-error-rate/momentum-0": "Alert",
        "order-latency-p95/momentum-1": "Alert",
    }

    story.agents["momentum-0"].latency = 4000
    await story.minutes(5)
    assert story.troubled()["degraded/momentum-0"] == "Alert"
    assert "degraded/momentum-1" not in story.troubled()

    story.agents["momentum-0"] = Agent()
    await story.minutes(7)
    assert "degraded/momentum-0" not in story.troubled()
    assert told(story, "degraded")[-1] == ("momentum-0", "OK")


async def test_a_drained_wallet_alerts_and_a_refill_resolves_it(story):
    story.agents["reversion-0"].balance = 12
    await story.minutes(1)
    assert story.troubled() == {"wallet-balance/reversion-0": "Alert"}
    story.agents["reversion-0"].balance = 512
    await story.minutes(6)
    assert story.troubled() == {}


async def test_a_dead_agent_is_no_data_at_its_heartbeat_and_silent_everywhere_else(story):
    story.agents["momentum-0"].is_alive = False
    await story.minutes(9)
    assert story.troubled() == {}
    await story.minutes(2)
    assert story.troubled() == {"heartbeat/momentum-0": "No Data"}
    story.agents["momentum-0"].is_alive = True
    await story.minutes(1)
    assert story.troubled() == {}
    assert told(story, "heartbeat") == [("momentum-0", "No Data"), ("momentum-0", "OK")]


async def test_escrows_that_fail_are_counted_by_agent(story):
    story.agents["momentum-1"].escrow_failures = 1
    await story.minutes(1)
    assert story.troubled() == {"escrow-failures/momentum-1": "Alert"}
    story.agents["momentum-1"].escrow_failures = 0
    await story.minutes(11)
    assert story.troubled() == {}


async def test_a_burning_budget_alerts_while_both_windows_burn(story):
    for agent in story.agents.values():
        agent.failures = 8
    await story.minutes(6)
    assert story.troubled()["slo-fast-burn/*"] == "Alert"
    for agent in story.agents.values():
        agent.failures = 0
    await story.minutes(6)
    assert "slo-fast-burn/*" not in story.troubled(), "the short window is clean again"


async def test_an_alert_that_stays_is_repeated_as_asked(story):
    story.agents["momentum-1"].drawdown = 22
    await story.minutes(62.5)
    assert told(story, "drawdown") == [("momentum-1", "Alert"), ("momentum-1", "Alert")]

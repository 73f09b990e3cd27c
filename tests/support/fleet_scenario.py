"""Fleet with a simulated clock: agents and an operator that send data to the stand-in, and all generated monitors."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from purpleflea_contract import metrics, spans
from purpleflea_operator.datadog.definitions import operator_metrics
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation.monitors import Notification
from purpleflea_sandbox.datadog.evaluation_bridge import EvaluationBridge
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.series import MetricType
from purpleflea_sandbox.datadog.intake.store import Store
from support.definitions import define

AGENTS = ("momentum-0", "momentum-1", "reversion-0")
ENV, SERVICE = "production", "purpleflea-trading-agent"
COMMON = (f"env:{ENV}", f"service:{SERVICE}")
CLUSTER = "purpleflea"
STEP_S = 10
ZEROS_S = 300
"""Time for which a node agent sends zeros for a count that a client no longer sends (dogstatsd_expiry_seconds)."""


@dataclass(kw_only=True)
class Agent:
    """Data that an agent sends in ten seconds."""

    drawdown: float = 3.0
    balance: float = 900.0
    calls: int = 20
    failures: int = 0
    latency: float = 80.0
    escrow_failures: int = 0
    mismatches: int = 0
    interval_failures: int = 0
    dropped: int = 0
    is_alive: bool = True
    silent_s: float = 0
    beats_every_s: int = STEP_S
    """Time between two heartbeats; an agent that waits for its next interval sends them less often."""


@dataclass(kw_only=True)
class Operator:
    """Data that the node agent scrapes from the leading operator."""

    is_scraped: bool = True
    longest_halt_h: float = 0.0


@dataclass(kw_only=True)
class Scenario:
    """Fleet with a simulated clock. `spans_s` is the duration of the orders in APM."""

    ids: dict[str, int]
    organisation: Organisation
    bridge: EvaluationBridge
    now: float = 1_800_000_000.0
    agents: dict[str, Agent] = field(default_factory=lambda: {name: Agent() for name in AGENTS})
    operator: Operator = field(default_factory=Operator)
    spans_s: float = 0.1

    @classmethod
    def of(cls, folder: Path) -> "Scenario":
        """Return a scenario with the monitors that `make observability` wrote to the folder."""
        organisation = Organisation(Store(), now=lambda: scenario.now)
        bridge = EvaluationBridge(organisation, {"desk": "http://x"})
        scenario = cls(ids=define(organisation, folder), organisation=organisation, bridge=bridge)
        return scenario

    async def minutes(self, count: float, *, step_s: int = STEP_S) -> None:
        """Advance the clock. Everything is sent, and all monitors are evaluated, every ten seconds."""
        for _ in range(round(count * 60 / step_s)):
            self.now += step_s
            for name, agent in self.agents.items():
                self._send(name, agent)
            self._send_operator()
            await self.bridge.monitor_runner.once()

    def not_ok(self) -> dict[str, str]:
        """Return the groups that are not OK, as monitor/agent: status."""
        return {
            f"{key}/{group.partition(':')[2] or group}": state["status"]
            for key, number in self.ids.items()
            for group, state in self.organisation.monitors[number].groups.items()
            if state["status"] != "OK"
        }

    def notified(self, key: str | None = None) -> list[tuple[str, str]]:
        """Return the notifications with a recipient: of one monitor as (group, status), else as (monitor, group)."""
        names = {str(number): name for name, number in self.ids.items()}
        sent = [item for item in self.bridge.monitor_runner.notifications if item.handles]
        if key is None:
            return [(names[item.monitor_id], _group(item)) for item in sent]
        return [
            (_group(item), str(item.transition.after))
            for item in sent
            if item.monitor_id == str(self.ids[key])
        ]

    def texts(self, key: str) -> list[str]:
        """Return the texts of all notifications of a monitor."""
        number = str(self.ids[key])
        return [
            item.text
            for item in self.bridge.monitor_runner.notifications
            if item.monitor_id == number
        ]

    def _send(self, name: str, agent: Agent) -> None:
        if not agent.is_alive:
            agent.silent_s += STEP_S
            if agent.silent_s <= ZEROS_S:
                self._point(metrics.HEARTBEAT.name, "count", 0, name)
            return
        agent.silent_s = 0
        self._point(metrics.DRAWDOWN.name, "gauge", agent.drawdown, name)
        wallet = ("currency:usdc", "wallet_type:trading")
        self._point(metrics.WALLET_BALANCE.name, "gauge", agent.balance, name, *wallet)
        self._point(metrics.POSITION_MISMATCHES.name, "gauge", agent.mismatches, name)
        if self.now % agent.beats_every_s == 0:
            self._point(metrics.HEARTBEAT.name, "count", 1, name)
        if agent.interval_failures:
            failures, strategy = metrics.INTERVAL_FAILURES.name, "error_type:strategy"
            self._point(failures, "count", agent.interval_failures, name, strategy)
        if agent.dropped:
            self._point(
                metrics.TELEMETRY_DROPPED.name, "count", agent.dropped, name, "signal:metrics"
            )
        calls = metrics.API_REQUESTS.name
        self._point(calls, "count", agent.calls - agent.failures, name, "success:true")
        if agent.failures:
            self._point(calls, "count", agent.failures, name, "success:false")
        tags = (*COMMON, f"agent_id:{name}")
        store = self.organisation.data.series
        latency = store.open(metrics.ORDER_LATENCY.name, "distribution", tags=tags, host="n")
        store.add_values(latency, int(self.now), [agent.latency] * 5)
        self._span(name)
        for _ in range(agent.escrow_failures):
            self._log(name)

    def _send_operator(self) -> None:
        if not self.operator.is_scraped:
            return
        tags = (f"fleet_env:{ENV}", f"fleet_service:{SERVICE}", f"kube_cluster_name:{CLUSTER}")
        for name, value in (
            (operator_metrics.AGENTS, len(self.agents)),
            (operator_metrics.LONGEST_HALT, self.operator.longest_halt_h * 3600),
        ):
            store = self.organisation.data.series
            series = store.open(f"purpleflea_operator.{name}", "gauge", tags=tags, host="n")
            store.add(series, int(self.now), value)

    def _span(self, name: str) -> None:
        number = len(self.organisation.data.traces) + 1
        span = {
            "name": spans.ORDER_EXECUTE.name,
            "service": SERVICE,
            "resource": "r",
            "trace_id": number,
            "span_id": number,
            "start": int((self.now - self.spans_s) * 1e9),
            "duration": int(self.spans_s * 1e9),
            "meta": {"env": ENV},
            "metrics": {"_dd.measured": 1},
        }
        self.organisation.data.traces.add([span], [f"agent_id:{name}"])

    def _point(self, metric: str, kind: MetricType, value: float, name: str, *tags: str) -> None:
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
        entry = {"message": json.dumps(line), "service": SERVICE, "ddtags": COMMON[0]}
        self.organisation.data.logs.add(messages.log(entry, self.now))


def _group(notification: Notification) -> str:
    return notification.group[0][1] if notification.group else "*"

"""Faults at the exchange trigger exactly the expected monitors for the expected agents.

The monitors recover with hysteresis. Deleting the resource removes its objects and no others.
"""

import functools
import json
import time
import urllib.request
from decimal import Decimal

import pytest
import yaml

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.definitions import DATADOG_URL
from support import waiting
from support.datadog_objects import held
from support.desired_objects import MONITORS

# Every poll is a request to the stand-in, which evaluates every 5 s.
wait_for = functools.partial(waiting.wait_for, every_s=2.0, timeout_s=240)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE, SECRET, APP_KEY, ENV = "alerted", "datadog-keys", "any", "e2e-alerts"
AGENTS = {"calm": 2, "failing": 1, "refused": 1, "slow": 1, "sinking": 1, "drained": 1}
MINUTE = {"window": "1m"}
THRESHOLDS = {
    "drawdown": MINUTE,
    # The amount of the faucet is above the recovery threshold.
    "balance": {
        **MINUTE, "critical": 50, "criticalRecovery": 60, "warning": 80, "warningRecovery": 90,
    },
    "errorRate": {**MINUTE, "minimumCalls": 3},
    "orderLatency": MINUTE,
    "orderSpan": MINUTE,
    "intervalFailures": {
        **MINUTE, "critical": 4, "criticalRecovery": 3, "warning": 2, "warningRecovery": 1,
    },
}  # fmt: skip


WINDOW_S = NEW_GROUP_S = 60
LATE_S = {"high drawdown": 60}
"""Delay of a monitor before it evaluates new data (evaluation_delay)."""
PIPELINE_DELAY_S = 45
"""From the exchange to a monitor state on a busy machine: an interval, an agent flush, two evaluations (5 s each)."""
OURS = "Purple Flea agent: "


class Datadog:
    """Client of the Datadog stand-in."""

    def __init__(self, sandbox):
        self._address = sandbox.observer.intake
        self._headers = {
            "DD-API-KEY": sandbox.keys.datadog_key,
            "DD-APPLICATION-KEY": APP_KEY,
            "Content-Type": "application/json",
        }
        self._notifications = {}

    def ask(self, path, method="GET", document=None):
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(
            self._address + path, data=body, headers=self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    def monitors(self):
        return self.ask(f"/api/v1/monitor?monitor_tags=env:{ENV}&group_states=all")

    def alerting(self):
        """Return the monitors in Alert by name, with their agents; `*` is the whole fleet."""
        self._collect_notifications()
        alerting = {}
        for monitor in self.monitors():
            groups = monitor["state"]["groups"]
            agents = {_agent(name) for name, group in groups.items() if group["status"] == "Alert"}
            if agents and not _is_part(monitor["name"]):
                alerting[monitor["name"].removeprefix(OURS)] = agents
        return alerting

    def alerts(self, names, *, since):
        """Return the time (in seconds) of every alert notification about these agents or the fleet."""
        self._collect_notifications()
        alerts = {}
        for (monitor, agent, at), status in sorted(self._notifications.items()):
            if status == "Alert" and at >= since and agent in {*names, "*"}:
                alerts.setdefault((monitor, agent), at)
        return alerts

    def _collect_notifications(self):
        """Collect the newest notifications; the page does not keep older ones."""
        for note in self.ask("/fleet/data/monitors")["notifications"]:
            is_relevant = note["monitor"].startswith(OURS) and not _is_part(note["monitor"])
            if is_relevant and not note["reminder"]:
                name, agent = note["monitor"].removeprefix(OURS), _agent(note["scope"])
                self._notifications[name, agent, note["at"] / 1000] = note["status"]

    def value(self, monitor, agent):
        """Return the last value that a monitor evaluated for an agent."""
        for item in self.ask("/fleet/data/monitors")["monitors"]:
            for group in item["groups"] if item["name"].endswith(monitor) else ():
                if _agent(group["scope"]) == agent:
                    return group["value"]
        return None


def _is_part(name):
    """Return whether a monitor is a part of a composite, which has no recipients."""
    return "(part of: " in name


def _agent(scope):
    return scope.removeprefix("agent_id:").partition(",")[0]


class Exchange:
    """Injects faults at the paper exchange."""

    def __init__(self, sandbox):
        self._world = sandbox.observer

    def _ask(self, path, method="GET", document=None):
        request = urllib.request.Request(
            self._world.exchange + path,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Authorization": f"Bearer {self._world.exchange_token}",
                "Content-Type": "application/json",
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or "null")

    def faults(self, *faults):
        self._ask("/faults", "PUT", list(faults))

    def set_cash(self, agent_id, amount):
        accounts = self._ask("/admin/accounts")["accounts"]
        owner = next(item["owner"] for item in accounts if item["agent_id"] == agent_id)
        body = {"cash_usd": f"{amount:f}"}
        self._ask(f"/admin/accounts/{owner}/{agent_id}/cash", "PUT", body)

    def cash(self, agent_id):
        accounts = self._ask("/admin/accounts")["accounts"]
        return Decimal(next(item["cash_usd"] for item in accounts if item["agent_id"] == agent_id))


def an_agent(sandbox, name, replicas):
    agent = yaml.safe_load((sandbox.checkout / "examples/momentum.yaml").read_text())
    agent["metadata"] |= {"name": name, "namespace": NAMESPACE}
    agent["spec"] |= {"replicas": replicas, "faucet": {"autoClaim": True, "belowUsd": "50"}}
    agent["spec"]["datadog"] |= {"env": ENV}
    agent["spec"]["risk"] |= {"maxDrawdownPct": 90, "minBalanceUsd": "20"}
    return agent


def an_observability():
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaObservability",
        "metadata": {"name": "alerts", "namespace": NAMESPACE},
        "spec": {
            "keysSecretRef": {"name": SECRET},
            "url": DATADOG_URL,
            "allowInsecureUrl": True,
            "env": ENV,
            "thresholds": THRESHOLDS,
        },
    }


@pytest.fixture(scope="module")
def fleet(sandbox):
    sandbox.namespace(NAMESPACE)
    sandbox.tools.kubectl(
        "create", "secret", "generic", SECRET, f"--namespace={NAMESPACE}",
        f"--from-literal=api-key={sandbox.keys.datadog_key}", f"--from-literal=app-key={APP_KEY}",
    )  # fmt: skip
    sandbox.tools.helm(
        "upgrade", "purpleflea-operator", str(sandbox.checkout / "charts/purpleflea-operator"),
        f"--namespace={installation.OPERATOR}", "--reuse-values",
        f"--set=observability.secrets[0].namespace={NAMESPACE}",
        f"--set=observability.secrets[0].name={SECRET}",
        f"--set=observability.urls[0]={DATADOG_URL}",
    )  # fmt: skip
    sandbox.tools.apply(*(an_agent(sandbox, name, count) for name, count in AGENTS.items()))
    for name in AGENTS:
        sandbox.wait_ready(NAMESPACE, name)
    yield sandbox
    Exchange(sandbox).faults()
    sandbox.tools.kubectl("delete", "pfo,pfa", "--all", f"--namespace={NAMESPACE}")


def for_agent(name, kind, path="/", **more):
    return {"match": {"agent_id": name, "path_prefix": path}, "kind": kind, **more}


def wait_alerting(datadog, expected, what):
    """Wait until exactly the expected monitors are in Alert, for exactly these agents."""
    seen = []

    def is_so():
        seen[:] = [datadog.alerting()]
        return seen == [expected]

    try:
        wait_for(is_so, what=what)
    except AssertionError as error:
        raise AssertionError(f"{what}: {seen} instead of {expected}") from error


SLOW_ORDERS = [
    {**for_agent(name, "delay", "/v1/orders", ms=1500), "match": {
        "agent_id": name, "path_prefix": "/v1/orders", "method": "POST",
    }}
    for name in ("failing-0", "slow-0")
]  # fmt: skip


def test_faults_alert_exactly_the_affected_agents(fleet):
    datadog, exchange = Datadog(fleet), Exchange(fleet)
    names = [f"{name}-{number}" for name, count in AGENTS.items() for number in range(count)]
    fleet.observer.wait_until_reporting(names, timeout_s=180)
    by_hand = {"type": "metric alert", "name": "by hand", "tags": ["team:else"]}
    query = f"max(last_5m):max:agent.trade.drawdown_pct{{env:{ENV}}} by {{agent_id}} > 99"
    foreign = {**by_hand, "query": query, "message": "foreign"}
    foreign_id = datadog.ask("/api/v1/monitor", "POST", foreign)["id"]
    before = held(datadog.ask)
    fleet.tools.apply(an_observability())
    wait_for(lambda: len(datadog.monitors()) == MONITORS, what="all monitors")
    watched_at, start = time.time(), exchange.cash("sinking-0")

    # One agent fails and is slow; others only fail, are only slow, lose money, or have an empty wallet that the faucet
    # cannot refill yet. The failure rates are low enough to keep the error budget of the fleet. An order never fails:
    # its unknown outcome would stop the orders of that market for minutes, and then no latency is measured.
    troubled_at = time.time()
    exchange.faults(
        *SLOW_ORDERS,
        for_agent("failing-0", "status", "/v1/markets", status=503, probability=0.3),
        for_agent("refused-0", "status", "/v1/markets", status=503, probability=0.3),
        for_agent("drained-0", "status", "/faucet", status=503),
    )
    exchange.set_cash("sinking-0", start * Decimal("0.8"))
    exchange.set_cash("drained-0", Decimal(40))
    troubled = {
        "high drawdown": {"sinking-0", "drained-0"},
        "wallet balance low": {"drained-0"},
        "API error rate high": {"failing-0", "refused-0"},
        "order latency p95 high": {"failing-0", "slow-0"},
        "order execution slow in APM": {"*"},
        "degraded": {"failing-0"},
        "trading intervals fail": {"failing-0", "refused-0"},
    }
    wait_alerting(datadog, troubled, "alerts for all faults")

    # The faults end and the loss is halved: below the alert threshold, but above the recovery threshold.
    exchange.faults()
    exchange.set_cash("sinking-0", start * Decimal("0.9"))
    losses = {"high drawdown": {"sinking-0", "drained-0"}}
    wait_alerting(datadog, losses, "only the drawdown alerts remain")
    wait_for(
        lambda: 8 < (datadog.value("high drawdown", "sinking-0") or 0) < 15, what="the loss halved"
    )
    assert datadog.alerting() == losses
    assert exchange.cash("drained-0") > 60  # the agent's own claim

    exchange.set_cash("sinking-0", start)
    exchange.set_cash("drained-0", start)
    wait_alerting(datadog, {}, "all have recovered")
    alerts = datadog.alerts(names, since=troubled_at)
    # There was no other notification: no wrong agent and no other monitor.
    assert set(alerts) == {(name, agent) for name, agents in troubled.items() for agent in agents}
    # A monitor does not evaluate a new group for one minute.
    counted_from = max(troubled_at, watched_at + NEW_GROUP_S)
    late = {
        alert: at - counted_from
        for alert, at in alerts.items()
        if at - counted_from > WINDOW_S + LATE_S.get(alert[0], 0) + PIPELINE_DELAY_S
    }
    assert late == {}

    fleet.tools.kubectl("delete", "pfo", "alerts", f"--namespace={NAMESPACE}", "--timeout=180s")
    assert held(datadog.ask) == before
    datadog.ask(f"/api/v1/monitor/{foreign_id}", "DELETE")

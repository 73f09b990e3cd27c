"""The node agent runs the checks that the operator's annotations configure: the custom check and openmetrics."""

import functools
import json
import urllib.request

import pytest

from purpleflea_contract import metrics
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAME = "checked"
PODS = [f"{NAME}-0", f"{NAME}-1"]
CHECKS = {
    "check": {"enabled": True, "intervalSeconds": 5},
    "openMetrics": {"enabled": True, "intervalSeconds": 5},
}
ENDPOINT = "http://exchange.exchange.svc.cluster.local"
GAUGES = ("balance_usd", "equity_usd", "peak_equity_usd", "drawdown_pct", "mode")


@pytest.fixture(scope="module")
def namespace(sandbox):
    """Create two agents with both checks enabled; return their namespace."""
    name = sandbox.namespace("checked")
    services = dict.fromkeys(("trading", "wallet", "escrow", "faucet"), ENDPOINT)
    spec = {
        "strategy": "momentum",
        "replicas": 2,
        "markets": ["BTC-USD"],
        "api": {"keySecretRef": {"name": "purpleflea-api-key"}, "endpoints": services},
        "trading": {"interval": "2s", "signalThreshold": "0"},
        "datadog": {"env": "sandbox", **CHECKS},
        "storage": {"ephemeral": True},
    }
    sandbox.tools.apply(
        {
            "apiVersion": "purpleflea.com/v1alpha1",
            "kind": "PurpleFleaAgent",
            "metadata": {"name": NAME, "namespace": name},
            "spec": spec,
        }
    )
    sandbox.wait_ready(name, NAME)
    return name


def received(sandbox, path):
    with urllib.request.urlopen(
        f"{sandbox.observer.intake}/received/{path}", timeout=10
    ) as response:
        return json.load(response)


def series(sandbox, metric, pod):
    return received(sandbox, f"metrics?name={metric}&tag=agent_id:{pod}")["series"]


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("pod", PODS)
def test_the_service_check_of_each_agent_becomes_ok(sandbox, pod):
    path = f"checks?name=purpleflea.agent.can_connect&tag=agent_id:{pod}"

    def succeeded():
        checks = received(sandbox, path)["checks"]
        return checks and all(item["status"] == 0 for item in checks) and checks

    tags = dict(tag.split(":", 1) for tag in wait_for(succeeded)[0]["tags"])
    assert (tags["agent_id"], tags["strategy"]) == (pod, "momentum")


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("pod", PODS)
@pytest.mark.parametrize("gauge", GAUGES)
def test_each_gauge_of_the_check_arrives_for_each_agent(sandbox, pod, gauge):
    matching = wait_for(lambda: series(sandbox, f"purpleflea.agent.{gauge}", pod))
    assert {item["type"] for item in matching} == {"gauge"}


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("pod", PODS)
@pytest.mark.parametrize("metric", [metrics.OPEN_POSITIONS, metrics.WALLET_BALANCE])
def test_the_openmetrics_check_scrapes_each_agent(sandbox, pod, metric):
    matching = wait_for(lambda: series(sandbox, f"purpleflea.{metric.exposed_name}", pod))
    tags = dict(tag.split(":", 1) for tag in matching[0]["tags"])
    assert set(metric.tag_names) <= tags.keys()


@pytest.mark.usefixtures("namespace")
def test_an_openmetrics_counter_becomes_a_datadog_count(sandbox):
    name = f"purpleflea.{metrics.HEARTBEAT.exposed_name.removesuffix('_total')}.count"
    matching = wait_for(lambda: series(sandbox, name, PODS[0]))
    assert {item["type"] for item in matching} == {"count"}

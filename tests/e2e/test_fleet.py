import functools
import json
import time
import urllib.request

import pytest

from purpleflea_sandbox.demo import installation
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

OPERATOR = f"{installation.OPERATOR}:purpleflea-operator"
SETTLE_S = 15  # as in the operator: minimum interval between status writes that change only counts
CHILDREN = ("configmaps", "networkpolicies", "poddisruptionbudgets", "statefulsets")
RENEWALS = 3
NAMES = ["momentum-0", "momentum-1", "momentum-2"]
UNIFIED = {"env": "sandbox", "service": "purpleflea-trading-agent", "version": "1.0.0"}


@pytest.fixture(scope="module")
def fleet(sandbox, figures):
    """Apply the example and wait for telemetry; return namespace, request counts and duration."""
    namespace = sandbox.namespace("fleet")
    point, began = sandbox.audit.end(), time.monotonic()
    sandbox.apply_example(namespace)
    sandbox.wait_ready(namespace)
    sandbox.observer.wait_until_reporting(NAMES, timeout_s=180)
    took = time.monotonic() - began
    counts = sandbox.audit.counts(since=point, user=OPERATOR)
    figures["agents applied, Ready, trading, telemetry received"] = f"{took:.1f} s"
    figures["requests of the operator for the new agents"] = str(dict(counts))
    return namespace, counts, took


def received(sandbox, path):
    with urllib.request.urlopen(
        f"{sandbox.observer.intake}/received/{path}", timeout=10
    ) as response:
        return json.load(response)


def without_leases(counts):
    """Return the requests without those of the leader election, which never stop."""
    return {key: number for key, number in counts.items() if key[1] != "leases"}


def tags_of(series):
    return dict(tag.split(":", 1) for tag in series["tags"])


def test_three_pods_are_ready_under_the_restricted_profile(sandbox, fleet):
    namespace, _, _ = fleet
    pods = sandbox.pods(namespace)
    assert sorted(pods) == NAMES
    labels = sandbox.tools.get("namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_new_agent_needs_one_write_per_child_and_two_statuses(fleet):
    _, counts, took = fleet
    writes = {
        key: number
        for key, number in without_leases(counts).items()
        if key[0] in ("create", "update", "patch", "delete")
    }
    statuses = writes.pop(("patch", "purplefleaagents/status"))
    assert writes == {("create", kind): 1 for kind in CHILDREN}
    # During a long start the status is updated once per interval, and the start is reported as in progress.
    intervals = took // SETTLE_S
    assert statuses <= 2 + intervals + min(intervals, 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_of_each_identity_arrives_with_its_tags(sandbox, fleet, name):
    path = f"metrics?name=agent.order.latency_ms&tag=agent_id:{name}&tag=env:sandbox"
    # An agent sends its first order when its signal is strong enough.
    all_series = wait_for(lambda: received(sandbox, path)["series"], timeout_s=120)
    expected = {**UNIFIED, "agent_id": name, "strategy": "momentum"}
    for series in all_series:
        assert expected.items() <= tags_of(series).items()
        assert series["type"] == "distribution"


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_of_each_identity_arrives_with_its_tags(sandbox, fleet, name):
    path = f"traces?name=agent.order.execute&tag=agent_id:{name}&tag=env:sandbox&limit=1"
    (trace,) = wait_for(lambda: received(sandbox, path)["traces"], timeout_s=120)
    span = next(item for item in trace["spans"] if item["name"] == "agent.order.execute")
    assert span["service"] == UNIFIED["service"]
    meta = span["meta"]
    assert (meta["agent_id"], meta["strategy"]) == (name, "momentum")
    root = [item["meta"] for item in trace["spans"]]
    assert {item.get("env") for item in root} >= {"sandbox"}
    assert {item.get("version") for item in root} >= {"1.0.0"}


@pytest.mark.parametrize("name", NAMES)
def test_log_and_trace_of_one_order_share_their_trace_id(sandbox, fleet, name):
    path = f"logs?attribute=event_type:trade_executed&attribute=agent_id:{name}&tag=env:sandbox&limit=5"
    lines = wait_for(lambda: received(sandbox, path)["logs"])
    line = lines[-1]
    attributes = line["attributes"]
    assert (attributes["agent_id"], attributes["strategy"]) == (name, "momentum")
    tags = dict(tag.split(":", 1) for tag in line["tags"])
    assert {**UNIFIED}.items() <= {**tags, "service": line["service"]}.items()

    def order_span():
        traces = received(
            sandbox,
            f"traces?name=agent.order.execute&tag=agent_id:{name}&tag=env:sandbox&limit=1000",
        )
        spans = [
            (trace["trace_id"], span)
            for trace in traces["traces"]
            for span in trace["spans"]
            if span["meta"].get("order_id") == attributes["order_id"]
        ]
        return spans[0] if spans else None

    trace_id, _ = wait_for(order_span)
    assert trace_id == attributes["dd.trace_id"]


def test_telemetry_contains_no_key(sandbox, fleet):
    for path in ("logs?limit=1000", "traces?limit=1000"):
        text = json.dumps(received(sandbox, path))
        assert sandbox.keys.exchange_key not in text


def test_an_idle_minute_has_no_write_and_no_list(sandbox, fleet, figures):
    point = sandbox.audit.end()
    wait_for(lambda: sandbox.audit.seconds_since(point) >= 60, every_s=2)
    counts = sandbox.audit.counts(since=point, user=OPERATOR)
    seconds = sandbox.audit.seconds_since(point)
    figures["requests of the operator in 60 s of idling"] = str(dict(counts))
    assert {verb for verb, _ in without_leases(counts)} <= {"watch", "get"}, counts
    # A leader reads and renews the lease every 2 s; a standby reads it every 1 to 1.2 s.
    assert counts["update", "leases"] <= seconds / 2 + 4, counts
    assert counts["get", "leases"] <= seconds * 1.5 + 6, counts


def test_a_second_start_of_the_operator_writes_nothing(sandbox, fleet, figures):
    point = sandbox.audit.end()
    arguments = (f"--namespace={installation.OPERATOR}", "deployment/purpleflea-operator")
    sandbox.tools.kubectl("rollout", "restart", *arguments)
    installation.wait_for(sandbox.tools, installation.OPERATOR, "deployment/purpleflea-operator")
    new = set(sandbox.pods(installation.OPERATOR))

    def requests_of_the_new_leader():
        leader = sandbox.leader()
        entries = sandbox.audit.entries(since=point, user=OPERATOR)
        own = [item for item in entries if item.pod == leader]
        mine = [item for item in own if item.resource != "leases"]
        listed, watched = (
            {item.resource for item in mine if item.verb == verb} for verb in ("list", "watch")
        )
        # A start ends when each listed kind is watched. The renewals of the lease give it time for a wrong write.
        renewals = [item for item in own if (item.verb, item.resource) == ("update", "leases")]
        is_over = bool(listed) and listed <= watched and len(renewals) >= RENEWALS
        return mine if leader in new and is_over else []

    mine = wait_for(requests_of_the_new_leader)
    figures["requests of a second start"] = str(len(mine))
    entries = sandbox.audit.entries(since=point, user=OPERATOR)
    assert [item for item in entries if item.is_write and item.resource != "leases"] == []


def test_scaling_to_five_and_back_restarts_no_existing_pod(sandbox, fleet):
    namespace, _, _ = fleet
    before = {name: pod["metadata"]["uid"] for name, pod in sandbox.pods(namespace).items()}
    scale = ("scale", "pfa/momentum", f"--namespace={namespace}")
    sandbox.tools.kubectl(*scale, "--replicas=5")
    sandbox.wait_ready(namespace)
    assert sorted(sandbox.pods(namespace)) == [*NAMES, "momentum-3", "momentum-4"]
    sandbox.tools.kubectl(*scale, "--replicas=3")
    wait_for(lambda: sorted(sandbox.pods(namespace)) == NAMES)
    after = {name: pod["metadata"]["uid"] for name, pod in sandbox.pods(namespace).items()}
    assert after == before


def test_halting_stops_orders_without_a_restart(sandbox, fleet):
    namespace, _, _ = fleet
    before = {name: pod["metadata"]["uid"] for name, pod in sandbox.pods(namespace).items()}
    sandbox.patch(namespace, "momentum", '{"spec":{"trading":{"mode":"Halted"}}}')
    path = "logs?attribute=event_type:control_changed&attribute=mode:Halted&limit=100"
    agents = lambda: {item["attributes"]["agent_id"] for item in received(sandbox, path)["logs"]}  # noqa: E731
    wait_for(lambda: set(NAMES) <= agents())
    # The counts arrive with the metrics, and an order may have been in flight when the mode changed.
    beats = heartbeats(sandbox)
    wait_for(lambda: heartbeats(sandbox) >= beats + 6)
    orders = sum(item.orders for item in sandbox.observer.agents(NAMES))
    wait_for(lambda: heartbeats(sandbox) >= beats + 15)
    assert sum(item.orders for item in sandbox.observer.agents(NAMES)) == orders
    sandbox.patch(namespace, "momentum", '{"spec":{"trading":{"mode":"Active"}}}')
    wait_for(lambda: sum(item.orders for item in sandbox.observer.agents(NAMES)) > orders)
    assert {name: pod["metadata"]["uid"] for name, pod in sandbox.pods(namespace).items()} == before


def heartbeats(sandbox):
    series = received(sandbox, "metrics?name=agent.heartbeat")["series"]
    return sum(value for item in series for _, value in item["points"])


def test_agents_keep_running_without_a_node_agent_and_recover_with_it(sandbox, fleet):
    namespace, _, _ = fleet
    before = {name: pod["metadata"]["uid"] for name, pod in sandbox.pods(namespace).items()}
    sandbox.tools.kubectl(
        "delete", "daemonset/datadog-agent", f"--namespace={installation.DATADOG}"
    )
    wait_for(
        lambda: sandbox.conditions(namespace)["TelemetryReady"]["reason"] == "NodeAgentMissing"
    )
    installed = sandbox.conditions(namespace)["DatadogInstalled"]
    assert "helm install datadog-agent datadog/datadog" in installed["message"]
    assert sandbox.conditions(namespace)["Ready"]["status"] == "True"
    events = sandbox.tools.get("events", f"--namespace={namespace}").get("items", [])
    assert "DatadogInstalledNotFound" in [item["reason"] for item in events]
    charts = sandbox.checkout / "sandbox" / "charts"
    installation.datadog(sandbox.tools, charts, sandbox.keys)
    sandbox.wait_ready(namespace)
    assert {name: pod["metadata"]["uid"] for name, pod in sandbox.pods(namespace).items()} == before


def test_deleting_the_agent_deletes_all_children_and_keeps_the_journals(sandbox, fleet):
    namespace, _, _ = fleet
    sandbox.tools.kubectl("delete", "pfa/momentum", f"--namespace={namespace}")
    kinds = "pods,statefulsets,configmaps,networkpolicies,poddisruptionbudgets,services"

    def remaining():
        items = sandbox.tools.get(kinds, f"--namespace={namespace}").get("items", [])
        return [
            item["metadata"]["name"]
            for item in items
            if item["metadata"]["name"] != "kube-root-ca.crt"
        ]

    wait_for(lambda: remaining() == [])
    claims = sandbox.tools.get("persistentvolumeclaims", f"--namespace={namespace}")["items"]
    assert {item["metadata"]["name"] for item in claims} >= {f"state-{name}" for name in NAMES}

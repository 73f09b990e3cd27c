import functools
import json
import os
import signal
import urllib.request
from datetime import UTC, datetime

import pytest

from purpleflea_sandbox.demo import installation
from support import waiting
from support.builders import a_spec
from support.pod_processes import pid_of, resident_mib

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

USER = f"{installation.OPERATOR}:purpleflea-operator"
NAMESPACE = installation.OPERATOR
PROGRAM = "purpleflea_operator"


@pytest.fixture
def replicas(sandbox):
    """Wait for two ready operator pods with a leader; return the leader's name and the pods by name."""

    def leader_and_pods():
        pods = sandbox.pods(NAMESPACE)
        leader = sandbox.leader()
        return (leader, pods) if len(pods) == 2 and all_ready(pods) and leader in pods else None

    return wait_for(leader_and_pods, what="a leader and a standby")


def all_ready(pods):
    return all(
        container["ready"]
        for pod in pods.values()
        for container in pod["status"].get("containerStatuses", [{"ready": False}])
    )


def process(pods, name):
    pid = pid_of(pods[name]["metadata"]["uid"], PROGRAM)
    if pid is None:
        pytest.skip("the processes of the node are not visible from here")
    return pid


def takeover(sandbox, point, old):
    """Return the request with which a pod other than the old leader acquired the lease."""
    entries = sandbox.audit.entries(since=point, user=USER)
    taken = [
        item
        for item in entries
        if (item.verb, item.resource) == ("update", "leases") and item.pod != old
    ]
    return next((item for item in taken if item.code == 200), None)


def since(sandbox, point, taken, began):
    """Return the seconds until the lease was acquired and until the new leader had listed the agents again."""

    def listed():
        entries = sandbox.audit.entries(since=point, user=USER)
        lists = [item for item in entries if item.pod == taken.pod and item.verb == "list"]
        return next((item for item in lists if item.resource == "purplefleaagents"), None)

    works = wait_for(listed, what="a list of the new leader")
    return (taken.at - began).total_seconds(), (works.at - began).total_seconds()


def test_the_standby_watches_like_the_leader_and_writes_nothing(sandbox, replicas, figures):
    leader, pods = replicas
    (standby,) = set(pods) - {leader}
    # Before its container started, a process of the same pod can have led.
    (status,) = pods[standby]["status"]["containerStatuses"]
    started_at = datetime.fromisoformat(status["state"]["running"]["startedAt"])
    entries = sandbox.audit.entries(user=USER)
    requests = [item for item in entries if item.pod == standby and item.at >= started_at]
    assert {item.resource for item in requests if item.verb == "watch"} >= {
        "purplefleaagents",
        "purplefleahalts",
        "statefulsets",
    }
    assert [item for item in requests if item.is_write and item.resource != "leases"] == []
    for role, name in (("leader", leader), ("standby", standby)):
        figures[f"memory of the operator, {role}"] = f"{resident_mib(process(pods, name)):.0f} MiB"


def test_leader_and_standby_expose_their_metrics(sandbox, replicas):
    leader, pods = replicas
    for name in pods:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics"
        text = sandbox.tools.kubectl("get", "--raw", path)
        assert f"purpleflea_operator_leader {float(name == leader)}" in text


OWN_METRICS = (
    "queue_depth",
    "queue_oldest_seconds",
    "reconcile_duration_seconds.count",
    "api_requests.count",
    "agent_conditions",
    "telemetry_coverage_ratio",
    "leader",
)


@pytest.fixture(scope="module")
def metered(sandbox):
    """Create an agent without replicas, so that the operator has metrics to report."""
    namespace = sandbox.namespace("metered", with_key=False)
    metadata = {"name": "metered", "namespace": namespace}
    kind = {"apiVersion": "purpleflea.com/v1alpha1", "kind": "PurpleFleaAgent"}
    sandbox.tools.apply({**kind, "metadata": metadata, "spec": a_spec(replicas=0)})
    yield
    sandbox.tools.kubectl("delete", "pfa/metered", f"--namespace={namespace}")


@pytest.mark.usefixtures("metered")
@pytest.mark.parametrize("name", OWN_METRICS)
def test_datadog_scrapes_the_operators_own_metrics(sandbox, replicas, name):
    leader, pods = replicas
    endpoint = f"endpoint:http://{pods[leader]['status']['podIP']}:8080/metrics"

    def arrived():
        url = f"{sandbox.observer.intake}/received/metrics?name=purpleflea_operator.{name}"
        with urllib.request.urlopen(url, timeout=10) as response:
            all_tags = [set(item["tags"]) for item in json.load(response)["series"]]
        return [tags for tags in all_tags if endpoint in tags]

    for tags in wait_for(arrived, what=f"{name} of the leader"):
        assert {"service:purpleflea-operator", "kube_namespace:purpleflea-system"} <= tags


def test_the_standby_takes_over_after_sigterm(sandbox, replicas, figures):
    leader, pods = replicas
    pid, point = process(pods, leader), sandbox.audit.end()
    restarts, began = restarts_of(sandbox, leader), datetime.now(UTC)
    os.kill(pid, signal.SIGTERM)
    taken = wait_for(lambda: takeover(sandbox, point, leader))
    took, works = since(sandbox, point, taken, began)
    figures["takeover after SIGTERM"] = f"{took:.1f} s; agents listed after {works:.1f} s"
    # The leader renewed its lease at most 2 s before. If it did not release the lease, it would expire after 8 s.
    assert took < 8.0
    # Until then its status still says that it is ready, and the next test would have no standby.
    wait_for(lambda: restarts_of(sandbox, leader) > restarts, what="its restart")


def test_the_standby_takes_over_after_sigkill(sandbox, replicas, figures):
    leader, pods = replicas
    pid, point = process(pods, leader), sandbox.audit.end()
    restarts, began = restarts_of(sandbox, leader), datetime.now(UTC)
    os.kill(pid, signal.SIGKILL)
    taken = wait_for(lambda: takeover(sandbox, point, leader))
    took, works = since(sandbox, point, taken, began)
    figures["takeover after kill -9"] = f"{took:.1f} s; agents listed after {works:.1f} s"
    # The lease expires after 10 s. Its exact duration is the subject of the tests in virtual time.
    assert took <= 30.0
    # Until then its status still says that it is ready, and the next test would have no standby.
    wait_for(lambda: restarts_of(sandbox, leader) > restarts, what="its restart")


def test_a_leader_frozen_past_its_lease_writes_nothing_when_it_resumes(sandbox, replicas, figures):
    leader, pods = replicas
    pid = process(pods, leader)
    restarts = restarts_of(sandbox, leader)
    namespace = sandbox.namespace("frozen")
    os.kill(pid, signal.SIGSTOP)
    try:
        point = sandbox.audit.end()
        sandbox.apply_example(namespace, env=namespace)
        taken = wait_for(lambda: takeover(sandbox, point, leader))
        sandbox.wait_ready(namespace)
        # A change that the old leader would apply if it still assumed that it holds the lease.
        sandbox.tools.kubectl("scale", "pfa/momentum", f"--namespace={namespace}", "--replicas=1")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: restarts_of(sandbox, leader) > restarts, what="its end")
    sandbox.wait_ready(namespace)
    entries = list(sandbox.audit.entries(since=point, user=USER))
    late = [item for item in entries if item.pod == leader and item.at > taken.at]
    # Its renewal of the lease is rejected.
    wrong = [item for item in late if item.resource != "leases" or item.code < 400]
    assert [item for item in wrong if item.is_write] == []
    others = [item for item in entries if item.is_write and item.resource != "leases"]
    assert others
    figures["writes of a leader that woke after its lease"] = "0"
    log = sandbox.tools.kubectl("logs", "--previous", leader, f"--namespace={NAMESPACE}")
    # If it was frozen for longer than its liveness probe allows, the kubelet has also sent SIGTERM, which can be first.
    ends = ("lost the lease; exiting", "stopped")
    assert any(f'"message":"{end}"' in log for end in ends)
    sandbox.tools.kubectl("delete", "pfa/momentum", f"--namespace={namespace}")


def restarts_of(sandbox, name):
    (status,) = sandbox.pods(NAMESPACE)[name]["status"]["containerStatuses"]
    return status["restartCount"]

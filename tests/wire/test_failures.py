import kopf
import pytest

from purpleflea_operator import app
from purpleflea_operator.runtime import lifecycle
from purpleflea_operator.settings import OperatorSettings
from support.apiserver.server import ApiServer
from support.builders import a_datadog_daemon_set, a_pod, an_agent

NS, NAME = "trading", "momentum"


def is_ready(server, name=NAME):
    agent = server.get("PurpleFleaAgent", NS, name)
    conditions = agent.get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


WRITES = [
    ("create", "configmaps"),
    ("create", "networkpolicies"),
    ("create", "statefulsets"),
    ("patch", "purplefleaagents"),
]


@pytest.mark.parametrize(("verb", "resource"), WRITES)
@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_failed_write_is_retried_until_it_succeeds(server, an_operator, verb, resource, status):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.fail_next(verb=verb, resource=resource, status=status, retry_after=1, times=2)
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)
    assert len(server.objects("StatefulSet")) == 1
    assert [pod["metadata"]["name"] for pod in server.objects("Pod")] == ["momentum-0"]


@pytest.mark.parametrize(("verb", "resource"), WRITES)
def test_a_lost_response_creates_no_duplicate(server, an_operator, verb, resource):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.lose_reply(verb=verb, resource=resource)
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)
    assert len(server.objects("StatefulSet")) == 1
    assert len(server.objects("Pod")) == 1


def test_a_rejected_write_becomes_a_condition_and_does_not_affect_other_agents(server, an_operator):
    server.fail_next(
        verb="create",
        resource="statefulsets",
        name="poisoned",
        status=422,
        message="no",
        times=None,
    )
    server.put(an_agent("poisoned", uid="uid-poisoned"))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.wait_until(lambda: condition(server, "poisoned", "WorkloadAvailable"))
    found = condition(server, "poisoned", "WorkloadAvailable")
    assert (found["status"], found["reason"]) == ("False", "ApplyFailed")
    assert "no" in found["message"]


def condition(server, name, kind):
    conditions = server.get("PurpleFleaAgent", NS, name).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), None)


def test_dropped_watches_lose_no_change(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        for replicas in (2, 3, 4):
            server.drop_watches(cut=True)
            server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": replicas}})
            server.wait_until(
                lambda wanted=replicas: len(server.objects("Pod")) == wanted, timeout=30
            )


def test_a_missing_secret_is_named_in_the_condition(server_without_pods, an_operator):
    server = server_without_pods
    server.put(an_agent())
    with an_operator(server):
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME) is not None)
        server.put(a_pod(ready=False, waiting="ContainerCreating"))
        server.put(failed_mount())
        server.wait_until(lambda: reason(server, "WorkloadAvailable") == "SecretNotFound")
    assert "spec.api.keySecretRef" in condition(server, NAME, "WorkloadAvailable")["message"]


def test_pods_that_cannot_be_created_are_explained_by_events_of_the_workload(
    server_without_pods, an_operator
):
    server = server_without_pods
    server.put(an_agent())
    with an_operator(server):
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME) is not None)
        workload = server.get("StatefulSet", NS, NAME)["metadata"]["uid"]
        refusal = 'create Pod momentum-0 failed: serviceaccount "x" not found'
        server.put(failed_mount() | {
            "metadata": {"name": "create", "namespace": NS},
            "involvedObject": {"uid": workload, "name": NAME},
            "reason": "FailedCreate",
            "message": refusal,
        })  # fmt: skip
        server.wait_until(lambda: reason(server, "Progressing") == "PodsRefused", timeout=30)
    assert refusal in condition(server, NAME, "WorkloadAvailable")["message"]


def test_an_event_that_cannot_be_created_delays_nothing(server, an_operator):
    server.fail_next(verb="create", resource="events", status=403, message="no", times=None)
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.wait_until(lambda: reason(server, "DatadogInstalled") == "NotFound")


def reason(server, kind):
    return (condition(server, NAME, kind) or {}).get("reason")


def failed_mount():
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "mount", "namespace": NS},
        "involvedObject": {"uid": "uid-momentum-0", "name": "momentum-0"},
        "reason": "FailedMount",
        "message": 'MountVolume.SetUp failed for volume "api-key" : secret "pf" not found',
    }


async def start_against(server):
    await app.run(
        OperatorSettings(health_port=0), connect=lambda: kopf.ConnectionInfo(server=server.url)
    )


async def test_a_missing_crd_is_reported_in_one_line():
    with ApiServer() as server:
        server.unregister("PurpleFleaAgent")
        with pytest.raises(
            lifecycle.StartError, match="is not installed; install it: kubectl apply"
        ):
            await start_against(server)


async def test_a_missing_permission_is_named():
    with ApiServer() as server:
        server.fail_next(verb="list", resource="pods", status=403, message="pods is forbidden")
        with pytest.raises(lifecycle.StartError, match="missing permission: pods is forbidden"):
            await start_against(server)


def test_throttled_initial_lists_only_delay_the_start(server, an_operator):
    server.put(an_agent())
    asked = server.fail_next(verb="list", resource="pods", status=429, retry_after=1, times=2)
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)
    assert asked.hits == 2


async def test_an_unreachable_api_server_is_reported():
    connect = lambda: kopf.ConnectionInfo(server="http://127.0.0.1:9")  # noqa: E731
    with pytest.raises(lifecycle.StartError, match="cannot be reached"):
        await app.run(OperatorSettings(health_port=0), connect=connect)

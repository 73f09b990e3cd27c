"""Logs and checks of agents in a DatadogInstrumentation: changes restart no agent, and a switch to it is paced."""

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from support.apiserver.kinds import DATADOG_INSTRUMENTATION
from support.builders import a_datadog_daemon_set, an_agent

NS = "trading"
KIND = "DatadogInstrumentation"
CHECK = {"datadog": {"check": {"enabled": True}}}
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def with_datadog(server):
    server.put(a_datadog_daemon_set(host_ports=True))


@pytest.fixture
def with_kind(server):
    server.register(DATADOG_INSTRUMENTATION)


def is_complete(server, *names):
    return all(
        any(
            item["type"] == "Progressing" and item["reason"] == "Complete"
            for item in server.get("PurpleFleaAgent", NS, name)
            .get("status", {})
            .get("conditions", [])
        )
        for name in names
    )


def annotations(server, name="one-0"):
    pod = server.get("Pod", NS, name)
    return set(pod["metadata"]["annotations"]) if pod else set()


def has_annotations(server, name="one-0"):
    return kubernetes.DD_ANNOTATION_LOGS in annotations(server, name)


def pods(server):
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in server.objects("Pod")}


def instrumentation(server, name="one"):
    return server.get(KIND, NS, name)


def start(server, *names, **spec):
    for name in names or ("one",):
        server.put(an_agent(name, uid=f"uid-{name}", **spec))


def test_an_agent_has_one_that_is_its_child_and_its_pods_have_no_annotations_for_it(
    server, an_operator, with_kind
):
    start(server, **CHECK)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: is_complete(server, "one"))
    found = instrumentation(server)
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == (
        "PurpleFleaAgent",
        "uid-one",
        True,
    )
    assert found["spec"]["targetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": "one",
    }
    (check,) = found["spec"]["config"]["checks"]
    assert (check["integration"], check["containerName"]) == ("purpleflea_agent", "agent")
    assert check["instances"][0]["url"] == "http://%%host%%:8000"
    (logs,) = found["spec"]["config"]["logs"]
    assert (logs["containerName"], logs["source"]) == ("agent", "python")
    assert len(logs["log_processing_rules"]) == 2
    keys = annotations(server)
    assert kubernetes.ANNOTATION_COLLECTION in keys
    assert not keys & {kubernetes.DD_ANNOTATION_LOGS, kubernetes.DD_ANNOTATION_CHECKS}


CHANGES = [
    pytest.param({"check": {"intervalSeconds": 60}}, id="interval"),
    pytest.param({"check": {"enabled": False}}, id="no check"),
    pytest.param({"openMetrics": {"enabled": True}}, id="second check"),
    pytest.param({"logs": {"maskSecrets": False}}, id="log settings"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_checks_and_log_settings_restarts_no_agent(
    server, an_operator, with_kind, change
):
    # Without statusAccess, the check also decides about the account, which is a setting of the agent.
    start(server, **CHECK, api={"keySecretRef": {"name": "key"}, "statusAccess": "Network"})
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: is_complete(server, "one"))
        before, spec = pods(server), instrumentation(server)["spec"]
        server.patch("PurpleFleaAgent", NS, "one", {"spec": {"datadog": change}})
        server.wait_until(lambda: instrumentation(server)["spec"] != spec)
        server.wait_until(
            lambda: server.get("PurpleFleaAgent", NS, "one")["status"]["observedGeneration"] == 2
        )
        assert pods(server) == before


def test_it_is_restored_deleted_and_created_with_what_it_collects(server, an_operator, with_kind):
    start(server)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: is_complete(server, "one"))
        wanted = instrumentation(server)["spec"]
        server.patch(KIND, NS, "one", {"spec": {"config": {"logs": []}}})
        server.wait_until(lambda: instrumentation(server)["spec"] == wanted)
        server.delete(KIND, NS, "one")
        server.wait_until(lambda: instrumentation(server) is not None)
        server.patch(
            "PurpleFleaAgent", NS, "one", {"spec": {"datadog": {"logs": {"enabled": False}}}}
        )
        server.wait_until(lambda: instrumentation(server) is None)
        server.wait_until(lambda: kubernetes.DD_ANNOTATION_LOGS_EXCLUDE in annotations(server))


def test_a_status_of_the_cluster_agent_causes_no_write(server, an_operator, with_kind):
    start(server)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: is_complete(server, "one"))
        server.clear()
        ready = {"type": "LogsReady", "status": "True", "reason": "Configured", "message": ""}
        server.put({**instrumentation(server), "status": {"conditions": [ready]}})
        server.patch("PurpleFleaAgent", NS, "one", {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(
            lambda: server.get("PurpleFleaAgent", NS, "one")["status"]["observedGeneration"] == 2
        )
        assert server.writes(resource="datadoginstrumentations") == []


@pytest.mark.parametrize(
    ("is_enabled", "is_installed"), [(True, False), (False, True), (False, False)]
)
def test_annotations_are_used_otherwise(server, an_operator, is_enabled, is_installed):
    if is_installed:
        server.register(DATADOG_INSTRUMENTATION)
    start(server)
    with an_operator(datadog_instrumentation=is_enabled):
        server.wait_until(lambda: is_complete(server, "one"))
        assert has_annotations(server)
    asked = [item for item in server.requests() if item.full_resource == "datadoginstrumentations"]
    assert bool(asked) is is_enabled


def test_the_switch_restarts_the_agents_one_after_the_other(server, an_operator):
    names = ("one", "two", "three")
    start(server, *names)
    with an_operator():
        server.wait_until(lambda: is_complete(server, *names))
    before = pods(server)
    server.register(DATADOG_INSTRUMENTATION)
    server.statefulsets.let_ready(lambda pod: pod["metadata"]["uid"] in before.values())
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: len(pods(server).items() - before.items()) == 1)
        switched = {item["metadata"]["name"] for item in server.objects(KIND)}
        assert switched == {name[:-2] for name, uid in pods(server).items() if uid != before[name]}
        server.statefulsets.let_ready(lambda pod: True)
        server.wait_until(lambda: len(server.objects(KIND)) == 3, timeout=60)
        server.wait_until(lambda: is_complete(server, *names), timeout=60)
    assert not any(has_annotations(server, f"{name}-0") for name in names)


def test_a_change_by_a_user_includes_the_switch(server, an_operator):
    start(server, "one", "two")
    with an_operator():
        server.wait_until(lambda: is_complete(server, "one", "two"))
    server.register(DATADOG_INSTRUMENTATION)
    with an_operator(datadog_instrumentation=True, agent_upgrade_policy="Manual"):
        server.patch("PurpleFleaAgent", NS, "one", {"spec": {"trading": {"interval": "7s"}}})
        server.wait_until(lambda: instrumentation(server, "one") is not None)
        server.wait_until(lambda: not has_annotations(server) and annotations(server) != set())
        assert instrumentation(server, "two") is None
        assert has_annotations(server, "two-0")


def test_a_kind_that_is_installed_later_is_used(server, an_operator, monkeypatch):
    start(server)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: is_complete(server, "one"))
        server.register(DATADOG_INSTRUMENTATION)
        server.wait_until(lambda: instrumentation(server) is not None, timeout=60)
        server.wait_until(lambda: annotations(server) and not has_annotations(server))


def test_a_kind_that_is_missing_for_a_moment_restarts_no_agent_and_one_that_is_removed_does(
    server, an_operator, with_kind, monkeypatch
):
    start(server)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: is_complete(server, "one"))
    before = pods(server)
    server.unregister(KIND)
    with an_operator(datadog_instrumentation=True):
        server.patch("PurpleFleaAgent", NS, "one", {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(
            lambda: server.get("PurpleFleaAgent", NS, "one")["status"]["observedGeneration"] == 2
        )
        assert is_complete(server, "one")
        assert pods(server) == before
    monkeypatch.setattr(timings, "KIND_REMOVED_AFTER_S", 0.2)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(lambda: has_annotations(server), timeout=60)


def test_one_of_a_user_with_the_same_name_is_not_touched(server, an_operator, with_kind):
    foreign = {
        "apiVersion": kubernetes.DD_INSTRUMENTATION_VERSION,
        "kind": KIND,
        "metadata": {"namespace": NS, "name": "one"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "config": {}},
    }
    server.put(foreign)
    start(server)
    with an_operator(datadog_instrumentation=True):
        server.wait_until(
            lambda: KIND in str(server.get("PurpleFleaAgent", NS, "one").get("status", {}))
        )
        server.wait_until(lambda: "one-0" in pods(server))
    assert instrumentation(server)["spec"] == foreign["spec"]

from collections import Counter

import pytest

from support.builders import a_datadog_daemon_set, a_local_service, an_agent
from support.waiting import wait_until_started

NS, NAME = "trading", "momentum"


def agent_of(server, name=NAME):
    return server.get("PurpleFleaAgent", NS, name)


def condition(server, kind, name=NAME):
    conditions = agent_of(server, name).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def is_ready(server, name=NAME):
    agent = agent_of(server, name)
    current = agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"]
    return current and condition(server, "Ready", name).get("status") == "True"


def writes(server):
    return Counter(
        (item.verb, item.full_resource)
        for item in server.writes()
        if "purpleflea-operator" in item.user_agent
    )


def pod_uids(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


@pytest.fixture
def with_datadog(server):
    server.put(a_datadog_daemon_set(host_ports=True))


@pytest.mark.usefixtures("with_datadog")
def test_a_new_agent_costs_three_children_and_a_status(server, an_operator):
    with an_operator():
        server.put(an_agent())
        server.wait_until(lambda: is_ready(server))
    assert sorted(pod_uids(server)) == ["momentum-0"]
    assert server.requests(verb="get", namespace=NS) == []
    assert writes(server) == {
        ("create", "configmaps"): 1,
        ("create", "networkpolicies"): 1,
        ("create", "statefulsets"): 1,
        ("patch", "purplefleaagents/status"): 1,
    }
    assert condition(server, "TelemetryReady")["reason"] == "Connected"


@pytest.mark.usefixtures("with_datadog")
def test_several_identities_cost_a_disruption_budget_more(server, an_operator):
    with an_operator():
        server.put(an_agent(replicas=3))
        server.wait_until(lambda: is_ready(server))
    assert sorted(pod_uids(server)) == ["momentum-0", "momentum-1", "momentum-2"]
    assert writes(server) == {
        ("create", "configmaps"): 1,
        ("create", "networkpolicies"): 1,
        ("create", "poddisruptionbudgets"): 1,
        ("create", "statefulsets"): 1,
        ("patch", "purplefleaagents/status"): 1,
    }


@pytest.mark.usefixtures("with_datadog")
def test_a_restart_writes_nothing(server, an_operator):
    for number in range(5):
        server.put(an_agent(f"agent-{number}", uid=f"uid-{number}"))
    with an_operator():
        server.wait_until(lambda: all(is_ready(server, f"agent-{n}") for n in range(5)))
    server.clear()
    with an_operator():
        wait_until_started(server)
    assert server.writes() == []


@pytest.mark.usefixtures("with_datadog")
@pytest.mark.parametrize(
    ("replicas", "change", "count"),
    [
        pytest.param(2, {"replicas": 3}, 1, id="scale"),
        pytest.param(1, {"trading": {"interval": "7s"}}, 1, id="settings"),
        pytest.param(1, {"pod": {"labels": {"desk": "one"}}}, 1, id="pods"),
        pytest.param(1, {"datadog": {"team": "desk"}}, 1, id="tags"),
        # One pod tries the template, and then the others get it.
        pytest.param(3, {"trading": {"interval": "7s"}}, 2, id="several pods"),
    ],
)
def test_a_change_of_the_spec_costs_the_workload_and_a_status(
    server, an_operator, replicas, change, count
):
    server.put(an_agent(replicas=replicas, pod={"minReadySeconds": 0}))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": change})
        server.wait_until(lambda: is_ready(server))
    assert server.requests(verb="get", namespace=NS) == []
    assert writes(server) == {
        ("patch", "statefulsets"): count,
        ("patch", "purplefleaagents/status"): 1,
    }


@pytest.mark.usefixtures("with_datadog")
def test_halting_writes_the_control_file_and_restarts_no_pod(server, an_operator):
    server.put(an_agent(replicas=2))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        before = pod_uids(server)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(
            lambda: all(
                pod["metadata"].get("annotations", {}).get("purpleflea.com/mode") == "Halted"
                for pod in server.objects("Pod")
            )
        )
    assert '"Halted"' in server.get("ConfigMap", NS, NAME)["data"]["control.json"]
    assert pod_uids(server) == before


def test_an_agent_runs_without_datadog_and_its_installation_changes_the_status(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        assert condition(server, "DatadogInstalled")["reason"] == "NotFound"
        assert condition(server, "TelemetryReady")["reason"] == "NodeAgentMissing"
        server.put(a_datadog_daemon_set(host_ports=True))
        server.wait_until(lambda: condition(server, "TelemetryReady").get("status") == "True")
    reasons = {item["reason"]: item["message"] for item in server.objects("events")}
    assert "helm install datadog-agent" in reasons["DatadogInstalledNotFound"]
    assert "DatadogInstalledFound" in reasons
    (container,) = server.objects("Pod")[0]["spec"]["containers"]
    assert "DD_AGENT_HOST" in [item["name"] for item in container["env"]]


@pytest.mark.usefixtures("with_datadog")
def test_a_node_agent_that_disappears_restarts_no_pod(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        before = pod_uids(server)
        server.delete("DaemonSet", "datadog", "datadog-agent")
        server.wait_until(
            lambda: condition(server, "TelemetryReady").get("reason") == "NodeAgentMissing"
        )
    assert pod_uids(server) == before


@pytest.mark.usefixtures("with_datadog")
def test_a_node_agent_of_a_tenant_is_named_and_never_used(server, an_operator):
    """It offers the preferred connection at another port, and its name sorts before that of the trusted one."""
    server.put(an_agent())
    tenant = a_datadog_daemon_set("a", namespace="a-team", host_ports=True, dogstatsd_port=9999)
    service = a_local_service("a", namespace="a-team", ports={"dogstatsdport": 9999})
    with an_operator():
        server.wait_until(lambda: condition(server, "TelemetryReady").get("status") == "True")
        before, policy = pod_uids(server), server.get("NetworkPolicy", NS, NAME)["spec"]
        server.put(service)
        server.put(tenant)
        # A change of a message alone is written at most every 15 s.
        server.wait_until(
            lambda: "a-team/a" in condition(server, "DatadogInstalled")["message"], timeout=30
        )
    assert condition(server, "DatadogInstalled")["reason"] == "Found"
    assert condition(server, "TelemetryReady")["status"] == "True"
    assert agent_of(server)["status"]["datadog"]["dogstatsd"] == "HostIP:8125"
    assert pod_uids(server) == before
    assert server.get("NetworkPolicy", NS, NAME)["spec"] == policy
    read = [item.path for item in server.requests(verb="get", resource="services")]
    assert read
    assert not [path for path in read if "a-team" in path]


def test_a_node_agent_of_a_tenant_alone_is_reported_and_not_used(server, an_operator):
    server.put(a_datadog_daemon_set(namespace="team-a", host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        assert condition(server, "DatadogInstalled")["reason"] == "UntrustedNodeAgent"
        assert condition(server, "TelemetryReady")["reason"] == "NodeAgentMissing"
    assert "DD_AGENT_HOST" not in str(server.objects("StatefulSet"))


def test_agents_of_a_namespace_that_is_no_longer_trusted_restart_one_after_the_other(
    server, an_operator
):
    names = [f"agent-{number}" for number in range(3)]
    server.put(a_datadog_daemon_set(namespace="monitoring", host_ports=True))
    for name in names:
        server.put(an_agent(name, uid=name))

    def connected():
        return sum("DD_AGENT_HOST" in str(item["spec"]) for item in server.objects("StatefulSet"))

    def is_connected(name):
        return condition(server, "TelemetryReady", name).get("status") == "True"

    with an_operator(datadog_namespaces=("monitoring",)):
        server.wait_until(lambda: all(is_connected(name) for name in names), timeout=30)
    before = set(pod_uids(server).values())
    server.statefulsets.let_ready(lambda pod: pod["metadata"]["uid"] in before)
    with an_operator():
        server.wait_until(
            lambda: all(
                condition(server, "DatadogInstalled", name).get("reason") == "UntrustedNodeAgent"
                for name in names
            ),
            timeout=30,
        )
        server.wait_until(lambda: connected() == 2)
        server.statefulsets.let_ready(lambda pod: True)
        server.wait_until(lambda: connected() == 0, timeout=30)


@pytest.mark.usefixtures("with_datadog")
def test_drift_of_owned_fields_is_repaired_and_other_fields_stay(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        server.patch("ConfigMap", NS, NAME, {"data": {"theirs": "x"}}, manager="them")
        server.patch("StatefulSet", NS, NAME, {"spec": {"replicas": 7}}, manager="them")
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME)["spec"]["replicas"] == 1)
    assert server.get("ConfigMap", NS, NAME)["data"]["theirs"] == "x"
    assert writes(server)["patch", "configmaps"] == 0


@pytest.mark.usefixtures("with_datadog")
def test_a_deleted_child_is_recreated(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.delete("ConfigMap", NS, NAME)
        server.wait_until(lambda: server.get("ConfigMap", NS, NAME) is not None)


@pytest.mark.usefixtures("with_datadog")
def test_a_child_deleted_while_the_watch_was_stalled_is_recreated(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.stall_watches("configmaps")
        server.delete("ConfigMap", NS, NAME)
        server.compact()
        server.drop_watches("configmaps", cut=True)
        server.wait_until(lambda: server.get("ConfigMap", NS, NAME) is not None, timeout=20)


def test_an_object_with_another_owner_is_never_overwritten(server, an_operator):
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NS},
        "data": {"theirs": "x"},
    }
    server.put(theirs)
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: condition(server, "Ready").get("reason") == "NameTaken")
    assert server.get("ConfigMap", NS, NAME)["data"] == {"theirs": "x"}
    assert server.get("StatefulSet", NS, NAME) is None


@pytest.mark.usefixtures("with_datadog")
def test_a_recreated_agent_waits_for_the_deletion_of_the_previous_children(server, an_operator):
    former = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": NS,
            "ownerReferences": [
                {
                    "apiVersion": "purpleflea.com/v1alpha1",
                    "kind": "PurpleFleaAgent",
                    "name": NAME,
                    "uid": "former",
                    "controller": True,
                }
            ],
        },
        "data": {"control.json": "{}"},
    }
    server.put(former)
    server.put(an_agent())
    with an_operator():
        server.wait_until(
            lambda: len(server.requests(verb="get", resource="configmaps", name=NAME)) >= 2
        )
        assert server.get("StatefulSet", NS, NAME) is None
        server.delete("ConfigMap", NS, NAME)
        server.wait_until(lambda: is_ready(server), timeout=40)
    reasons = [item["reason"] for item in server.objects("Event")]
    assert not [reason for reason in reasons if "NameTaken" in reason]


@pytest.mark.usefixtures("with_datadog")
def test_a_policy_with_a_changed_pod_selector_is_repaired(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        wanted = server.get("NetworkPolicy", NS, NAME)["spec"]
        spoiled = {"spec": {"podSelector": {"matchLabels": {"x": "y"}}}}
        server.patch("NetworkPolicy", NS, NAME, spoiled, manager="them")
        server.wait_until(lambda: server.get("NetworkPolicy", NS, NAME)["spec"] == wanted)


@pytest.mark.usefixtures("with_datadog")
def test_a_spec_that_becomes_invalid_does_not_change_the_workload(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        before = server.get("StatefulSet", NS, NAME)["spec"]
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "Not Valid"}})
        server.wait_until(lambda: condition(server, "SpecValid").get("status") == "False")
    assert "spec.strategy" in condition(server, "SpecValid")["message"]
    assert server.get("StatefulSet", NS, NAME)["spec"] == before


@pytest.mark.usefixtures("with_datadog")
def test_deleting_an_agent_leaves_no_object(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        server.delete("PurpleFleaAgent", NS, NAME)
        server.wait_until(lambda: not server.objects("Pod"))
    for kind in ("ConfigMap", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget"):
        assert server.objects(kind) == []
    assert writes(server) == {}


@pytest.mark.usefixtures("with_datadog")
def test_a_recreated_agent_has_its_own_children(server, an_operator):
    server.put(an_agent(uid="first"))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.delete("PurpleFleaAgent", NS, NAME)
        server.put(an_agent(uid="second"))
        server.wait_until(lambda: is_ready(server))
    owner = server.get("StatefulSet", NS, NAME)["metadata"]["ownerReferences"][0]
    assert owner["uid"] == agent_of(server)["metadata"]["uid"]


@pytest.mark.usefixtures("with_datadog")
def test_children_of_a_deleted_agent_are_not_recreated_by_a_stale_cache(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.stall_watches("purplefleaagents")
        server.clear()
        # The garbage collector deletes the children, and the operator receives only these deletions.
        server.delete("PurpleFleaAgent", NS, NAME)
        server.wait_until(lambda: server.requests(verb="get", resource="purplefleaagents"))
    assert server.writes(verb="create") == []

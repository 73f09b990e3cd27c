"""An agent that names its cluster: only the operator of that cluster starts it, and a running one is never stopped."""

import json

import pytest

from support.builders import a_datadog_daemon_set, a_spec, an_agent

NS = "trading"
CHILDREN = ("StatefulSet", "ConfigMap", "Pod", "NetworkPolicy")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def with_datadog(server):
    server.put(a_datadog_daemon_set(host_ports=True))


def condition(server, kind, name="one"):
    conditions = server.get("PurpleFleaAgent", NS, name).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def is_ready(server, name="one"):
    agent = server.get("PurpleFleaAgent", NS, name)
    is_current = (
        agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"]
    )
    return is_current and condition(server, "Ready", name).get("status") == "True"


def is_refused(server):
    return condition(server, "SpecValid").get("status") == "False"


def uids(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


def mode(server):
    return json.loads(server.get("ConfigMap", NS, "one")["data"]["control.json"])["mode"]


def put(server, *names, **datadog):
    for name in names:
        server.put(an_agent(name, uid=f"uid-{name}", spec=a_spec(datadog=datadog)))


@pytest.mark.parametrize("here", ["london", ""])
def test_an_agent_of_another_cluster_gets_no_object_until_its_own_operator_runs(
    server, an_operator, here
):
    put(server, "one", cluster="tokyo")
    with an_operator(cluster=here):
        server.wait_until(lambda: is_refused(server))
        assert "spec.datadog.cluster" in condition(server, "SpecValid")["message"]
        assert [kind for kind in CHILDREN if server.objects(kind)] == []
    with an_operator(cluster="tokyo"):
        server.wait_until(lambda: is_ready(server), timeout=30)
    assert uids(server)


def test_a_running_agent_of_another_cluster_keeps_its_pods_and_can_be_halted(server, an_operator):
    put(server, "one", cluster="tokyo")
    with an_operator(cluster="tokyo"):
        server.wait_until(lambda: is_ready(server), timeout=30)
    before = uids(server)
    with an_operator(cluster="london"):
        server.wait_until(lambda: is_refused(server))
        server.patch("PurpleFleaAgent", NS, "one", {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(lambda: mode(server) == "Halted")
    assert uids(server) == before


def test_a_new_name_restarts_at_the_pace_of_an_upgrade_and_only_agents_without_the_field(
    server, an_operator
):
    put(server, "any")
    put(server, "one", cluster="tokyo")
    with an_operator(cluster="tokyo"):
        server.wait_until(lambda: is_ready(server) and is_ready(server, "any"), timeout=30)
    before = uids(server)
    with an_operator(cluster="tokyo"):
        server.wait_until(lambda: is_ready(server, "any"))
    assert uids(server) == before

    def waits():
        return condition(server, "Progressing", "any").get("reason") == "OperatorUpgrade"

    with an_operator(cluster="osaka", agent_upgrade_policy="Manual"):
        server.wait_until(waits)
        server.wait_until(lambda: is_refused(server))
    assert uids(server) == before

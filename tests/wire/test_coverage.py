"""Coverage of nodes by node agents, from the watches."""

import pytest

from support.builders import a_datadog_daemon_set, a_local_service, an_agent
from support.installations import a_node, a_node_agent
from support.paper_agents import PaperAgents
from support.waiting import wait_until_started

NS, NAME = "trading", "momentum"
OPEN = a_datadog_daemon_set(host_ports=True)


def agent_of(server, name=NAME):
    return server.get("PurpleFleaAgent", NS, name)


def telemetry(server, name=NAME):
    conditions = agent_of(server, name).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == "TelemetryReady"), {})


def has(server, reason):
    return telemetry(server).get("reason") == reason


def a_node_agent_on(server, name):
    """Store a ready node agent of the DaemonSet on a node."""
    daemon_set = server.get("DaemonSet", "datadog", "datadog-agent")
    server.put(a_node_agent(name, of=daemon_set))


@pytest.fixture
def gap(server):
    """A node with a taint that the node agent does not tolerate, and another one that is covered."""
    server.put(OPEN)
    a_node_agent_on(server, "elsewhere")
    server.put(a_node("node-0", taints=["dedicated=gpu:NoSchedule"]))
    server.put(an_agent())


@pytest.mark.usefixtures("gap")
def test_a_node_without_a_node_agent_is_named_until_it_has_one(server, an_operator):
    with an_operator():
        server.wait_until(lambda: has(server, "NodesUncovered"), timeout=30)
        assert (
            "node-0 (taint dedicated=gpu:NoSchedule not tolerated)" in telemetry(server)["message"]
        )
        assert agent_of(server)["status"]["datadog"]["nodes"]["covered"] == 0
        a_node_agent_on(server, "node-0")
        server.wait_until(lambda: has(server, "Connected"), timeout=30)
        # The Event is created after the status.
        server.wait_until(
            lambda: (
                "TelemetryReadyConnected" in {item["reason"] for item in server.objects("events")}
            ),
            timeout=30,
        )
    reasons = [item["reason"] for item in server.objects("events")]
    assert reasons.count("TelemetryReadyNodesUncovered") == 1


@pytest.mark.usefixtures("gap")
def test_a_heartbeat_of_a_node_causes_no_write(server, an_operator):
    a_node_agent_on(server, "node-0")
    heartbeat = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "again"}]}}
    with an_operator():
        server.wait_until(lambda: has(server, "Connected"), timeout=30)
        server.clear()
        server.patch("Node", "", "node-0", heartbeat)
        # An event that is later than the heartbeat: when it is processed, so is the heartbeat.
        server.put(an_agent("other", uid="other"))
        server.wait_until(lambda: server.get("StatefulSet", NS, "other") is not None, timeout=30)
    ours = [item.path for item in server.writes() if NAME in item.path.split("/")]
    assert ours == []


def test_a_spec_that_becomes_invalid_does_not_change_the_telemetry_condition(server, an_operator):
    server.put(OPEN)
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: has(server, "Connected"), timeout=30)
        before = agent_of(server)["status"]["datadog"]
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "Not Valid"}})
        server.wait_until(
            lambda: "SpecValidInvalid" in {item["reason"] for item in server.objects("events")}
        )
    assert has(server, "Connected")
    assert agent_of(server)["status"]["datadog"] == before


def test_a_finding_against_agents_survives_a_restart_of_the_operator(server, an_operator):
    server.put(OPEN)
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: has(server, "Connected"), timeout=30)
    lost = {"status": "False", "reason": "TelemetryLost", "message": "momentum-0 drops"}
    conditions = [
        {**item, **(lost if item["type"] == "TelemetryReady" else {})}
        for item in agent_of(server)["status"]["conditions"]
    ]
    server.patch("PurpleFleaAgent", NS, NAME, {"status": {"conditions": conditions}})
    server.clear()
    with an_operator():
        wait_until_started(server)
    assert has(server, "TelemetryLost")
    assert server.writes() == []


def test_an_agent_that_does_not_respond_to_probes_is_ready_but_not_connected(server, an_operator):
    server.put(OPEN)
    server.put(an_agent())
    agents = PaperAgents(server)
    agents.unresponsive.add("momentum-0")
    with an_operator(agents=agents):
        server.wait_until(
            lambda: agent_of(server).get("status", {}).get("readyReplicas") == 1, timeout=30
        )
        assert telemetry(server)["message"].startswith("0/1 agents are connected")
        assert has(server, "WaitingForAgents")


def test_a_failed_read_of_a_service_is_retried(server, an_operator):
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: has(server, "NodeAgentMissing"), timeout=30)
        server.put(a_local_service())
        fault = server.fail_next(verb="get", resource="services", status=500, times=2)
        server.put(a_datadog_daemon_set())
        server.wait_until(lambda: has(server, "Connected"), timeout=30)
    assert fault.hits == 2
    assert agent_of(server)["status"]["datadog"]["connection"] == "Service"


def test_a_changed_port_restarts_agents_one_after_the_other(server, an_operator):
    """Of a few agents, one restarts at a time."""
    names = [f"agent-{number}" for number in range(4)]
    server.put(OPEN)
    for name in names:
        server.put(an_agent(name, uid=name))
    with an_operator():
        server.wait_until(lambda: all(uses_port(server, name, 8125) for name in names), timeout=30)
        before = {pod["metadata"]["uid"] for pod in server.objects("Pod")}
        # Pods that are created from now on become ready only when the test allows it.
        server.statefulsets.let_ready(lambda pod: pod["metadata"]["uid"] in before)
        moved = a_datadog_daemon_set(host_ports=True, dogstatsd_port=8225)["spec"]
        rolled_out = {"spec": moved, "status": {"observedGeneration": 9}}
        server.patch("DaemonSet", "datadog", "datadog-agent", rolled_out)
        server.wait_until(
            lambda: sum(telemetry(server, name).get("status") != "True" for name in names) == 4,
            timeout=30,
        )
        assert sum("8225" in str(item["spec"]) for item in server.objects("StatefulSet")) == 1
        server.statefulsets.let_ready(lambda pod: True)
        server.wait_until(lambda: all(uses_port(server, name, 8225) for name in names), timeout=30)


def uses_port(server, name, port):
    found = agent_of(server, name).get("status", {}).get("datadog", {}).get("dogstatsd")
    return found == f"HostIP:{port}" and telemetry(server, name).get("status") == "True"

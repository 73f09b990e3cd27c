"""The operator is killed at every write; another one reaches the state that a run without a kill reaches."""

import contextlib

import pytest

from support.apiserver.server import ApiServer
from support.builders import a_datadog_daemon_set, an_agent

NS, NAME = "trading", "momentum"
OURS = {"verb": "write", "user_agent": "purpleflea-operator"}
WRITES = range(9)
"""More than the writes to create or change an agent; after the last write no operator is killed."""
pytestmark = pytest.mark.timeout(300)


def is_settled(server):
    agent = server.get("PurpleFleaAgent", NS, NAME)
    status = agent.get("status", {})
    turned = {item["type"]: item["status"] for item in status.get("conditions", [])}
    return (
        status.get("observedGeneration") == agent["metadata"]["generation"]
        and status.get("readyReplicas") == agent["spec"]["replicas"]
        and turned.get("Ready") == "True"
        and turned.get("TradingActive") != "Unknown"
        and all(mode_of(pod) == mode_wanted(agent) for pod in server.objects("Pod"))
    )


def mode_wanted(agent):
    return agent["spec"].get("trading", {}).get("mode", "Active")


def mode_of(pod):
    return pod["metadata"].get("annotations", {}).get("purpleflea.com/mode", "Active")


def end_state(server):
    """Return the final state without values that differ between runs."""
    children = {
        kind: [(item["metadata"]["name"], item.get("spec"), item.get("data")) for item in items]
        for kind in ("ConfigMap", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")
        if (items := server.objects(kind))
    }
    status = server.get("PurpleFleaAgent", NS, NAME)["status"]
    turned = [(item["type"], item["status"], item["reason"]) for item in status["conditions"]]
    return children, turned, sorted(pods(server))


def pods(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


def create(server):
    server.put(an_agent(replicas=2))


def change(server):
    spec = {"replicas": 3, "trading": {"mode": "Halted"}, "network": {"policy": "None"}}
    server.patch("PurpleFleaAgent", NS, NAME, {"spec": spec})


def kill_at(server, an_operator, number, *, is_done):
    """Run an operator until its n-th write, which never gets a response; `is_done` says if it takes effect."""
    lost = server.lose_reply(skip=number, times=1, **OURS) if is_done else None
    stuck = server.hang(skip=number + 1 if is_done else number, times=None, **OURS)
    with an_operator():
        server.wait_until(
            lambda: stuck.hits or (lost is not None and lost.hits) or is_settled(server), timeout=20
        )
    server.clear_faults()


_EXPECTED = {}


def expected(an_operator, *steps):
    """Return the final state of a run without a kill."""
    if steps not in _EXPECTED:
        with ApiServer(runs_statefulsets=True) as server:
            server.put(a_datadog_daemon_set(host_ports=True))
            with an_operator(server):
                for step in steps:
                    step(server)
                    server.wait_until(lambda: is_settled(server), timeout=20)
            _EXPECTED[steps] = end_state(server)
    return _EXPECTED[steps]


def wait_for_end_state(server, final):
    """Wait for the final state, because the status of the killed operator may look settled before it is renewed."""
    with contextlib.suppress(
        TimeoutError
    ):  # the caller compares the states and shows the difference
        server.wait_until(lambda: is_settled(server) and end_state(server) == final, timeout=20)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", WRITES)
def test_an_operator_killed_while_it_creates_an_agent_is_replaced_by_the_next(
    server, an_operator, number, is_done
):
    final = expected(an_operator, create)
    server.put(a_datadog_daemon_set(host_ports=True))
    create(server)
    kill_at(server, an_operator, number, is_done=is_done)
    before = pods(server)
    with an_operator():
        wait_for_end_state(server, final)
    assert end_state(server) == final
    assert before.items() <= pods(server).items()


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", WRITES)
def test_an_operator_killed_while_it_changes_an_agent_is_replaced_by_the_next(
    server, an_operator, number, is_done
):
    final = expected(an_operator, create, change)
    server.put(a_datadog_daemon_set(host_ports=True))
    create(server)
    with an_operator():
        server.wait_until(lambda: is_settled(server), timeout=20)
    before = pods(server)
    change(server)
    kill_at(server, an_operator, number, is_done=is_done)
    with an_operator():
        wait_for_end_state(server, final)
    assert end_state(server) == final
    # No pod was recreated, and none runs twice.
    assert before.items() <= pods(server).items()

"""Halting, stopping and going on, with agents that answer, are silent, or need time."""

import pytest

from support.builders import a_datadog_daemon_set, an_agent
from support.paper_agents import PaperAgents

NS, NAME = "trading", "momentum"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def fleet(server):
    """Three agents, ready."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=3, pod={"terminationGracePeriodSeconds": 30}))
    return server


def condition(server, kind):
    conditions = server.get("PurpleFleaAgent", NS, NAME).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def turned(server, kind, reason):
    return lambda: condition(server, kind).get("reason") == reason


def is_ready(server):
    status = server.get("PurpleFleaAgent", NS, NAME).get("status", {})
    return status.get("readyReplicas") == 3 and condition(server, "Ready").get("status") == "True"


def wish(server, mode, manager="kubectl-edit"):
    change = {"spec": {"trading": {"mode": mode}}}
    server.patch("PurpleFleaAgent", NS, NAME, change, manager=manager)


def uids(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


def trading(server):
    return server.get("PurpleFleaAgent", NS, NAME)["status"]["trading"]


def test_agents_that_trade_are_asked_nothing(fleet, an_operator):
    agents = PaperAgents(fleet)
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
    assert agents.asked == {}


def test_halted_is_said_when_every_agent_has_said_so_and_who_asked_for_it(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        before = uids(fleet)
        wish(fleet, "Halted")
        fleet.wait_until(turned(fleet, "TradingActive", "Halted"))
    text = condition(fleet, "TradingActive")["message"]
    assert text.startswith("Halted by kubectl-edit at ")
    assert text.endswith("3/3 acknowledged and at rest")
    assert (trading(fleet)["changedBy"], trading(fleet)["acknowledged"]) == ("kubectl-edit", 3)
    assert uids(fleet) == before


def test_an_agent_that_does_not_answer_is_named_until_it_does_and_then_nobody_is_asked(
    fleet, an_operator
):
    agents = PaperAgents(fleet)
    agents.silent.add("momentum-2")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        wish(fleet, "Halted")
        fleet.wait_until(
            lambda: "missing momentum-2" in condition(fleet, "TradingActive").get("message", ""),
            timeout=40,
        )
        assert condition(fleet, "TradingActive")["status"] == "Unknown"
        agents.silent.clear()
        fleet.wait_until(turned(fleet, "TradingActive", "Halted"), timeout=40)
        asked = dict(agents.asked)
        fleet.patch("PurpleFleaAgent", NS, NAME, {"metadata": {"annotations": {"x": "y"}}})
        wish_again = {"metadata": {"annotations": {"purpleflea.com/reason": "still"}}}
        fleet.patch("PurpleFleaAgent", NS, NAME, wish_again)
        fleet.wait_until(
            lambda: "(still)" in condition(fleet, "TradingActive")["message"], timeout=40
        )
        assert dict(agents.asked) == asked


def test_stopped_agents_come_to_rest_before_they_are_ended_and_active_starts_them_again(
    fleet, an_operator
):
    agents = PaperAgents(fleet)
    agents.restless.add("momentum-1")
    agents.undone["momentum-0"] = "open positions: BTC-USD"
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        wish(fleet, "Stopped")
        fleet.wait_until(lambda: agents.asked["momentum-1"] >= 2)
        assert sorted(uids(fleet)) == ["momentum-0", "momentum-1", "momentum-2"]
        fleet.wait_until(turned(fleet, "TradingActive", "Stopping"))
        agents.restless.clear()
        fleet.wait_until(lambda: uids(fleet) == {}, timeout=40)
        fleet.wait_until(turned(fleet, "TradingActive", "StoppedIncomplete"))
        assert trading(fleet)["undone"] == ["momentum-0: open positions: BTC-USD"]
        fleet.wait_until(turned(fleet, "WorkloadAvailable", "ScaledToZero"))
        wish(fleet, "Active")
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.wait_until(turned(fleet, "TradingActive", "Active"))
    assert "undone" not in trading(fleet)


def test_an_operator_that_starts_while_agents_are_stopped_starts_none(fleet, an_operator):
    wish(fleet, "Stopped")
    with an_operator():
        fleet.wait_until(turned(fleet, "TradingActive", "Stopped"))
        # The last that a status has to say: the StatefulSet was heard of.
        fleet.wait_until(turned(fleet, "Progressing", "Complete"))
        fleet.wait_until(turned(fleet, "TelemetryReady", "Connected"))
    assert fleet.get("StatefulSet", NS, NAME)["spec"]["replicas"] == 0
    assert fleet.objects("Pod") == []
    fleet.clear()
    with an_operator():
        # The sweeps after the first lists are the last thing that a start does.
        fleet.wait_until(lambda: len(fleet.lists(resource="daemonsets")) >= 3)
    assert fleet.writes() == []


def test_an_order_to_halt_reaches_the_agents_though_the_workload_is_refused(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.fail_next(verb="patch", resource="statefulsets", status=422, message="no", times=None)
        change = {"spec": {"trading": {"mode": "Halted"}, "strategy": "mean_reversion"}}
        fleet.patch("PurpleFleaAgent", NS, NAME, change)
        fleet.wait_until(turned(fleet, "TradingActive", "Halted"))
        assert condition(fleet, "WorkloadAvailable")["reason"] == "ApplyFailed"
        assert condition(fleet, "Progressing")["reason"] == "ApplyFailed"


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_an_order_to_stop_reaches_the_agents_though_the_spec_is_invalid(fleet, an_operator, mode):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        before = uids(fleet)
        change = {"spec": {"trading": {"mode": mode}, "strategy": "Not Valid"}}
        fleet.patch("PurpleFleaAgent", NS, NAME, change)
        fleet.wait_until(turned(fleet, "TradingActive", mode))
        assert condition(fleet, "SpecValid")["status"] == "False"
        assert mode in fleet.get("ConfigMap", NS, NAME)["data"]["control.json"]
        assert uids(fleet) == before
        fleet.clear()
        fleet.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "momentum"}})
        fleet.wait_until(turned(fleet, "SpecValid", "Valid"))
    assert fleet.writes(resource="configmaps") == []


def test_an_order_to_halt_is_told_and_proven_though_the_server_fails_for_good(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        broken = fleet.fail_next(
            verb="patch", resource="statefulsets", status=500, message="webhook", times=None
        )
        change = {"spec": {"trading": {"mode": "Halted"}, "strategy": "mean_reversion"}}
        fleet.patch("PurpleFleaAgent", NS, NAME, change)
        fleet.wait_until(turned(fleet, "WorkloadAvailable", "ApplyFailed"), timeout=40)
        fleet.wait_until(turned(fleet, "TradingActive", "Halted"), timeout=40)
        assert "webhook" in condition(fleet, "Progressing")["message"]
        broken.cancel()
        fleet.wait_until(turned(fleet, "WorkloadAvailable", "AllReady"), timeout=60)


def test_a_pod_whose_kubelet_was_too_quick_is_told_again(fleet, an_operator):
    agents = PaperAgents(fleet)
    agents.stale.add("momentum-1")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.clear()
        wish(fleet, "Halted")
        fleet.wait_until(turned(fleet, "TradingActive", "Halted"), timeout=40)
    told = [item.name for item in fleet.writes(resource="pods")]
    assert sorted(told) == ["momentum-0", "momentum-1", "momentum-1", "momentum-2"]


def test_agents_that_never_answer_hold_up_no_order_to_others(server, an_operator):
    names = [f"agent-{number}" for number in range(30)]
    for name in names:
        server.put(an_agent(name, uid=f"uid-{name}"))
    agents = PaperAgents(server)
    agents.hanging = True

    def all_are(mode):
        found = [server.get("ConfigMap", NS, name) for name in names]
        return all(item and mode in item["data"]["control.json"] for item in found)

    with an_operator(agents=agents):
        server.wait_until(lambda: len(server.objects("Pod")) == len(names), timeout=40)
        for name in names:
            server.patch("PurpleFleaAgent", NS, name, {"spec": {"trading": {"mode": "Halted"}}})
        # Were a worker to wait for an answer, eight orders would be the last. And many come while a status is written:
        # the answer to that write holds them.
        server.wait_until(lambda: all_are("Halted"), timeout=40)


def test_of_two_made_in_the_same_second_one_runs(server, an_operator):
    server.put(an_agent(uid="z"))
    with an_operator():
        server.wait_until(lambda: len(server.objects("Pod", NS)) == 1)
        server.put(an_agent(namespace="other", uid="a"))

        def of_twin():
            status = server.get("PurpleFleaAgent", "other", NAME).get("status", {})
            found = {item["type"]: item["reason"] for item in status.get("conditions", [])}
            return found.get("DuplicateIdentity")

        server.wait_until(lambda: of_twin() == "NotStarted")
    assert server.objects("Pod", "other") == []
    assert condition(server, "DuplicateIdentity")["reason"] == "Unique"


def test_a_younger_twin_in_another_namespace_is_started_only_when_told_apart(fleet, an_operator):
    twin = an_agent(namespace="other", uid="younger")
    twin["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    fleet.put(twin)

    def of_twin(kind):
        conditions = fleet.get("PurpleFleaAgent", "other", NAME).get("status", {})
        found = {item["type"]: item for item in conditions.get("conditions", [])}
        return found.get(kind, {}).get("reason")

    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.wait_until(lambda: of_twin("DuplicateIdentity") == "NotStarted")
        assert of_twin("Ready") == "DuplicateIdentity"
        assert fleet.objects("Pod", "other") == []
        assert condition(fleet, "DuplicateIdentity")["reason"] == "Unique"
        fleet.delete("PurpleFleaAgent", NS, NAME)
        fleet.wait_until(lambda: of_twin("Ready") == "Ready")
    assert len(fleet.objects("Pod", "other")) == 1

"""Halting, stopping and resuming, with agents that respond, do not respond, or need time."""

import pytest

from support.builders import a_datadog_daemon_set, an_agent
from support.paper_agents import PaperAgents
from support.waiting import wait_until_started

NS, NAME = "trading", "momentum"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def fleet(server):
    """Three agents that become ready."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(
        an_agent(replicas=3, pod={"terminationGracePeriodSeconds": 30, "minReadySeconds": 0})
    )
    return server


def condition(server, kind):
    conditions = server.get("PurpleFleaAgent", NS, NAME).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def has_reason(server, kind, reason):
    return lambda: condition(server, kind).get("reason") == reason


def is_ready(server):
    status = server.get("PurpleFleaAgent", NS, NAME).get("status", {})
    return status.get("readyReplicas") == 3 and condition(server, "Ready").get("status") == "True"


def set_mode(server, mode, manager="kubectl-edit"):
    change = {"spec": {"trading": {"mode": mode}}}
    server.patch("PurpleFleaAgent", NS, NAME, change, manager=manager)


def uids(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


def trading(server):
    return server.get("PurpleFleaAgent", NS, NAME)["status"]["trading"]


def test_active_agents_are_not_queried(fleet, an_operator):
    agents = PaperAgents(fleet)
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
    assert agents.asked == {}


def test_halted_is_reported_with_its_author_when_every_agent_has_acknowledged(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        before = uids(fleet)
        set_mode(fleet, "Halted")
        fleet.wait_until(has_reason(fleet, "TradingActive", "Halted"))
    text = condition(fleet, "TradingActive")["message"]
    assert text.startswith("Halted by kubectl-edit at ")
    assert text.endswith("3/3 agents have acknowledged it and are drained")
    assert (trading(fleet)["changedBy"], trading(fleet)["acknowledged"]) == ("kubectl-edit", 3)
    assert uids(fleet) == before


def test_an_agent_that_does_not_respond_is_named_until_it_does(fleet, an_operator):
    agents = PaperAgents(fleet)
    agents.unresponsive.add("momentum-2")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        set_mode(fleet, "Halted")
        fleet.wait_until(
            lambda: (
                "waiting for momentum-2" in condition(fleet, "TradingActive").get("message", "")
            ),
            timeout=40,
        )
        assert condition(fleet, "TradingActive")["status"] == "Unknown"
        agents.unresponsive.clear()
        fleet.wait_until(has_reason(fleet, "TradingActive", "Halted"), timeout=40)
        asked = dict(agents.asked)
        fleet.patch("PurpleFleaAgent", NS, NAME, {"metadata": {"annotations": {"x": "y"}}})
        another_change = {"metadata": {"annotations": {"purpleflea.com/reason": "still"}}}
        fleet.patch("PurpleFleaAgent", NS, NAME, another_change)
        fleet.wait_until(
            lambda: "(still)" in condition(fleet, "TradingActive")["message"], timeout=40
        )
        assert dict(agents.asked) == asked


def test_stopped_agents_drain_before_they_are_deleted_and_active_starts_them_again(
    fleet, an_operator
):
    agents = PaperAgents(fleet)
    agents.undrained.add("momentum-1")
    agents.undone["momentum-0"] = "open positions: BTC-USD"
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        set_mode(fleet, "Stopped")
        fleet.wait_until(lambda: agents.asked["momentum-1"] >= 2)
        assert sorted(uids(fleet)) == ["momentum-0", "momentum-1", "momentum-2"]
        fleet.wait_until(has_reason(fleet, "TradingActive", "Stopping"))
        agents.undrained.clear()
        fleet.wait_until(lambda: uids(fleet) == {}, timeout=40)
        fleet.wait_until(has_reason(fleet, "TradingActive", "StoppedIncomplete"))
        assert trading(fleet)["undone"] == ["momentum-0: open positions: BTC-USD"]
        fleet.wait_until(has_reason(fleet, "WorkloadAvailable", "ScaledToZero"))
        set_mode(fleet, "Active")
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.wait_until(has_reason(fleet, "TradingActive", "Active"))
    assert "undone" not in trading(fleet)


def test_an_operator_that_starts_while_agents_are_stopped_starts_no_agent(fleet, an_operator):
    set_mode(fleet, "Stopped")
    with an_operator():
        fleet.wait_until(has_reason(fleet, "TradingActive", "Stopped"))
        # The last change of the status, which needs the event of the StatefulSet.
        fleet.wait_until(has_reason(fleet, "Progressing", "Complete"))
        fleet.wait_until(has_reason(fleet, "TelemetryReady", "Connected"))
    assert fleet.get("StatefulSet", NS, NAME)["spec"]["replicas"] == 0
    assert fleet.objects("Pod") == []
    fleet.clear()
    with an_operator():
        wait_until_started(fleet)
    assert fleet.writes() == []


def test_a_request_to_halt_reaches_the_agents_if_the_workload_is_rejected(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.fail_next(verb="patch", resource="statefulsets", status=422, message="no", times=None)
        change = {"spec": {"trading": {"mode": "Halted"}, "strategy": "mean_reversion"}}
        fleet.patch("PurpleFleaAgent", NS, NAME, change)
        fleet.wait_until(has_reason(fleet, "TradingActive", "Halted"))
        assert condition(fleet, "WorkloadAvailable")["reason"] == "ApplyFailed"
        assert condition(fleet, "Progressing")["reason"] == "ApplyFailed"


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_a_request_to_stop_reaches_the_agents_if_the_spec_is_invalid(fleet, an_operator, mode):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        before = uids(fleet)
        change = {"spec": {"trading": {"mode": mode}, "strategy": "Not Valid"}}
        fleet.patch("PurpleFleaAgent", NS, NAME, change)
        fleet.wait_until(has_reason(fleet, "TradingActive", mode))
        assert condition(fleet, "SpecValid")["status"] == "False"
        assert mode in fleet.get("ConfigMap", NS, NAME)["data"]["control.json"]
        assert uids(fleet) == before
        fleet.clear()
        fleet.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "momentum"}})
        fleet.wait_until(has_reason(fleet, "SpecValid", "Valid"))
    assert fleet.writes(resource="configmaps") == []


def test_a_request_to_halt_is_confirmed_if_the_api_server_fails_permanently(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        broken = fleet.fail_next(
            verb="patch", resource="statefulsets", status=500, message="webhook", times=None
        )
        change = {"spec": {"trading": {"mode": "Halted"}, "strategy": "mean_reversion"}}
        fleet.patch("PurpleFleaAgent", NS, NAME, change)
        fleet.wait_until(has_reason(fleet, "WorkloadAvailable", "ApplyFailed"), timeout=40)
        fleet.wait_until(has_reason(fleet, "TradingActive", "Halted"), timeout=40)
        assert "webhook" in condition(fleet, "Progressing")["message"]
        broken.cancel()
        fleet.wait_until(has_reason(fleet, "WorkloadAvailable", "AllReady"), timeout=60)


def test_a_pod_whose_kubelet_refreshed_too_early_is_nudged_again(fleet, an_operator):
    agents = PaperAgents(fleet)
    agents.stale.add("momentum-1")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.clear()
        set_mode(fleet, "Halted")
        fleet.wait_until(has_reason(fleet, "TradingActive", "Halted"), timeout=40)
    nudged = [item.name for item in fleet.writes(resource="pods")]
    assert sorted(nudged) == ["momentum-0", "momentum-1", "momentum-1", "momentum-2"]


def test_agents_that_never_respond_delay_no_mode_change_of_others(server, an_operator):
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
        # If a worker waited for a response, only eight changes would be processed. Many changes arrive while a status
        # is written, so they are in the response to that write.
        server.wait_until(lambda: all_are("Halted"), timeout=40)


def test_of_two_duplicates_created_in_the_same_second_one_runs(server, an_operator):
    server.put(an_agent(uid="z"))
    with an_operator():
        server.wait_until(lambda: len(server.objects("Pod", NS)) == 1)
        server.put(an_agent(namespace="other", uid="a"))

        def of_duplicate():
            status = server.get("PurpleFleaAgent", "other", NAME).get("status", {})
            found = {item["type"]: item["reason"] for item in status.get("conditions", [])}
            return found.get("DuplicateIdentity")

        server.wait_until(lambda: of_duplicate() == "NotStarted")
    assert server.objects("Pod", "other") == []
    assert condition(server, "DuplicateIdentity")["reason"] == "Unique"


def test_a_newer_duplicate_in_another_namespace_starts_after_the_older_is_deleted(
    fleet, an_operator
):
    duplicate = an_agent(namespace="other", uid="younger")
    duplicate["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    fleet.put(duplicate)

    def of_duplicate(kind):
        conditions = fleet.get("PurpleFleaAgent", "other", NAME).get("status", {})
        found = {item["type"]: item for item in conditions.get("conditions", [])}
        return found.get(kind, {}).get("reason")

    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.wait_until(lambda: of_duplicate("DuplicateIdentity") == "NotStarted")
        assert of_duplicate("Ready") == "DuplicateIdentity"
        assert fleet.objects("Pod", "other") == []
        assert condition(fleet, "DuplicateIdentity")["reason"] == "Unique"
        fleet.delete("PurpleFleaAgent", NS, NAME)
        fleet.wait_until(lambda: of_duplicate("Ready") == "Ready")
    assert len(fleet.objects("Pod", "other")) == 1

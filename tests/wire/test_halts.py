"""PurpleFleaHalt against a fake API server: halts, overlaps, ends, restarts, scopes and the status."""

import json

import pytest

from support.builders import a_datadog_daemon_set, a_halt, an_agent
from support.paper_agents import PaperAgents

NS, NAME, SYSTEM = "trading", "momentum", "purpleflea-system"
pytestmark = pytest.mark.timeout(120)


def condition(server, kind, name=NAME, namespace=NS, of="PurpleFleaAgent"):
    found = server.get(of, namespace, name) or {}
    conditions = found.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def has_reason(server, reason, **more):
    return lambda: condition(server, "TradingActive", **more).get("reason") == reason


def is_ready(server, name=NAME, namespace=NS):
    return condition(server, "Ready", name, namespace).get("status") == "True"


def mode_of(server, name=NAME, namespace=NS):
    found = server.get("ConfigMap", namespace, name)
    return json.loads(found["data"]["control.json"])["mode"] if found else None


def halt_status(server, name="incident", namespace=NS):
    return (server.get("PurpleFleaHalt", namespace, name) or {}).get("status", {})


def halt_reason(server, kind="Halted", name="incident", namespace=NS):
    return condition(server, kind, name, namespace, of="PurpleFleaHalt").get("reason")


@pytest.fixture
def fleet(server):
    """One agent with two pods."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2))
    return server


def test_a_halt_halts_the_agent_and_its_deletion_resumes_it(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt(reason="prices are wrong"))
        fleet.wait_until(has_reason(fleet, "Halted"))
        message = condition(fleet, "TradingActive")["message"]
        assert "PurpleFleaHalt trading/incident" in message
        assert "prices are wrong" in message
        assert fleet.get("PurpleFleaAgent", NS, NAME)["spec"].get("trading") is None
        fleet.wait_until(lambda: halt_reason(fleet, "Draining") == "Drained")
        status = halt_status(fleet)
        assert (status["matched"], status["running"], status["acknowledged"]) == (1, 2, 2)
        assert status["firstAcknowledgedAt"] <= status["lastAcknowledgedAt"]
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.wait_until(has_reason(fleet, "Active"))
        assert mode_of(fleet) == "Active"
        assert "halts" not in fleet.get("PurpleFleaAgent", NS, NAME)["status"]["trading"]


def test_the_strongest_of_several_halts_and_the_spec_applies(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt("weak"))
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.put(a_halt("strong", level="Stop"))
        fleet.wait_until(has_reason(fleet, "Stopped"))
        assert fleet.get("StatefulSet", NS, NAME)["spec"]["replicas"] == 0
        fleet.delete("PurpleFleaHalt", NS, "strong")
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(lambda: len(fleet.objects("Pod")) == 2)
        fleet.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Stopped"}}})
        fleet.wait_until(has_reason(fleet, "Stopped"), timeout=40)
        fleet.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Active"}}})
        fleet.wait_until(has_reason(fleet, "Halted"), timeout=40)
        fleet.delete("PurpleFleaHalt", NS, "weak")
        fleet.wait_until(has_reason(fleet, "Active"), timeout=40)


def test_an_agent_that_is_created_later_starts_halted(server, an_operator):
    server.put(a_halt())
    with an_operator():
        server.wait_until(lambda: halt_reason(server) == "NothingSelected")
        server.put(an_agent())
        server.wait_until(has_reason(server, "Halted"))
        server.wait_until(lambda: halt_status(server).get("matched") == 1)
    first = server.writes(resource="configmaps")[0]
    assert (first.status, "Halted" in first.raw.decode()) == (201, True)


def test_a_halt_survives_restarts_of_the_operator_without_a_write(fleet, an_operator):
    fleet.put(a_halt())
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(lambda: halt_reason(fleet, "Draining") == "Drained")
        fleet.wait_until(lambda: condition(fleet, "TelemetryReady").get("reason") == "Connected")
        fleet.wait_until(lambda: condition(fleet, "Progressing").get("reason") == "Complete")
    fleet.clear()
    agents = PaperAgents(fleet)
    with an_operator(agents=agents):
        fleet.wait_until(lambda: agents.asked.keys() == {"momentum-0", "momentum-1"})
    assert fleet.writes() == []


def test_a_halt_that_ended_while_no_operator_ran_ends_at_the_start(fleet, an_operator):
    fleet.put(a_halt())
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Halted"))
    fleet.delete("PurpleFleaHalt", NS, "incident")
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Active"))


def test_a_halt_applies_to_an_agent_with_an_invalid_spec(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "Not Valid"}})
        fleet.wait_until(lambda: condition(fleet, "SpecValid").get("status") == "False")
        fleet.put(a_halt())
        fleet.wait_until(has_reason(fleet, "Halted"))
        assert mode_of(fleet) == "Halted"
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.wait_until(has_reason(fleet, "SpecInvalid"))
        assert mode_of(fleet) == "Halted"
        fleet.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "momentum"}})
        fleet.wait_until(has_reason(fleet, "Active"), timeout=40)


def test_a_change_of_labels_moves_an_agent_into_a_halt_and_out_of_it(fleet, an_operator):
    fleet.put(a_halt(selector={"matchLabels": {"desk": "fx"}}))
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.wait_until(lambda: halt_reason(fleet) == "NothingSelected")
        for label, reason, matched in (("fx", "Halted", 1), ("rates", "Active", 0)):
            change = {"metadata": {"labels": {"desk": label}}}
            fleet.patch("PurpleFleaAgent", NS, NAME, change)
            fleet.wait_until(has_reason(fleet, reason), timeout=40)
            fleet.wait_until(lambda wanted=matched: halt_status(fleet)["matched"] == wanted)


@pytest.mark.parametrize(
    ("namespace", "selector", "halted"),
    [
        (NS, {}, {NS}),
        (NS, {"names": [NAME]}, {NS}),
        (NS, {"names": ["other"]}, set()),
        ("research", {"scope": "Cluster"}, {"research"}),
        (SYSTEM, {}, set()),
        (SYSTEM, {"scope": "Cluster"}, {NS, "research"}),
        (SYSTEM, {"scope": "Cluster", "namespaces": ["research"]}, {"research"}),
        (SYSTEM, {"scope": "Cluster", "matchLabels": {"a": "b"}}, set()),
    ],
)
def test_a_halt_applies_in_its_namespace_and_only_that_of_the_operator_in_all(
    server, an_operator, namespace, selector, halted
):
    for item in (NS, "research"):
        server.put(an_agent(namespace=item, uid=f"uid-{item}"))
    server.put(a_halt(namespace=namespace, selector=selector))
    with an_operator(namespace=SYSTEM):
        server.wait_until(lambda: halt_status(server, namespace=namespace).get("conditions"))
        for item in (NS, "research"):
            wanted = "Halted" if item in halted else "Active"
            server.wait_until(has_reason(server, wanted, namespace=item))
            assert mode_of(server, namespace=item) == wanted
    is_limited = namespace == "research"
    accepted = halt_reason(server, "Accepted", namespace=namespace)
    assert accepted == ("ScopeLimited" if is_limited else "Accepted")


def test_a_cluster_without_the_kind_works_and_a_kind_that_is_served_later_is_watched(
    server, an_operator, monkeypatch
):
    monkeypatch.setattr("purpleflea_operator.timings.MISSING_KIND_RETRY_S", 0.2)
    kind = server.kind("PurpleFleaHalt")
    server.unregister("PurpleFleaHalt")
    server.put(an_agent())
    with an_operator():
        server.wait_until(has_reason(server, "Active"))
        server.register(kind)
        server.put(a_halt())
        server.wait_until(has_reason(server, "Halted"), timeout=40)


def test_agents_stay_halted_while_the_halts_cannot_be_read(fleet, an_operator):
    fleet.put(a_halt())
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(lambda: halt_reason(fleet, "Draining") == "Drained")
    refused = fleet.fail_next(resource="purplefleahalts", status=403, message="no", times=None)
    with an_operator():
        fleet.wait_until(lambda: "cannot be read" in condition(fleet, "TradingActive")["message"])
        assert mode_of(fleet) == "Halted"
        refused.cancel()
        fleet.wait_until(
            lambda: "trading/incident" in condition(fleet, "TradingActive")["message"], timeout=60
        )
        assert mode_of(fleet) == "Halted"

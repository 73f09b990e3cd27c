"""PurpleFleaHalt against a fake API server: halts, overlaps, ends, restarts, scopes and the status."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.builders import a_datadog_daemon_set, a_halt, an_agent
from support.paper_agents import PaperAgents

NS, NAME, SYSTEM = "trading", "momentum", "purpleflea-system"
pytestmark = pytest.mark.timeout(300)


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
        fleet.wait_until(lambda: halt_status(fleet).get("drained") == 2)
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


def test_a_deleted_halt_holds_an_agent_until_it_has_drained(fleet, an_operator):
    agents = PaperAgents(fleet)
    agents.undrained.add("momentum-1")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt())
        fleet.wait_until(lambda: halt_status(fleet).get("acknowledged") == 2)
        assert halt_reason(fleet, "Draining") == "Draining"
        assert halt_status(fleet)["open"] == ["trading/momentum-1: is not drained"]
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.wait_until(
            lambda: "until it is drained" in condition(fleet, "TradingActive")["message"]
        )
        assert mode_of(fleet) == "Halted"
    with an_operator(agents=agents):
        fleet.wait_until(lambda: agents.asked["momentum-1"] >= 2)
        assert mode_of(fleet) == "Halted"
        agents.undrained.clear()
        fleet.wait_until(has_reason(fleet, "Active"), timeout=40)


def test_a_deleted_halt_holds_an_agent_that_never_drains_only_for_a_limited_time(
    fleet, an_operator, monkeypatch
):
    monkeypatch.setattr("purpleflea_operator.timings.HALT_RESUME_LIMIT_S", 2.0)
    agents = PaperAgents(fleet)
    agents.undrained.add("momentum-1")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt())
        fleet.wait_until(lambda: halt_status(fleet).get("acknowledged") == 2)
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.wait_until(lambda: mode_of(fleet) == "Active", timeout=20)


def in_seconds(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_halt_expires_and_stays_expired_after_a_restart(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt(expiresAt=in_seconds(4)))
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(has_reason(fleet, "Active"))
        fleet.wait_until(lambda: halt_reason(fleet) == "Expired")
    # The clock is set back: the time of the expiry is in the future again.
    found = fleet.get("PurpleFleaHalt", NS, "incident")
    spec = {**found["spec"], "expiresAt": in_seconds(600)}
    fleet.put({**found, "spec": spec})
    fleet.clear()
    with an_operator():
        fleet.put(an_agent("later", uid="uid-later"))
        fleet.wait_until(has_reason(fleet, "Active", name="later"))
        assert mode_of(fleet) == "Active"
    assert [item.name for item in fleet.writes(resource="configmaps")] == ["later"]


def test_a_step_of_the_wall_clock_does_not_end_a_halt(fleet, an_operator, monkeypatch):
    ahead = [timedelta()]
    monkeypatch.setattr("purpleflea_operator.app._now", lambda: datetime.now(UTC) + ahead[0])
    monkeypatch.setattr("purpleflea_operator.timings.HALT_EXPIRY_CHECK_S", 0.2)
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt(expiresAt=in_seconds(600)))
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(lambda: halt_reason(fleet) == "Halted")
        ahead[0] = timedelta(hours=2)
        # The second halt is reported after the first one was checked with the new time.
        fleet.put(a_halt("second", selector={"names": ["other"]}))
        fleet.wait_until(lambda: halt_reason(fleet, name="second") == "NothingSelected")
        fleet.put(an_agent("other", uid="uid-other"))
        fleet.wait_until(has_reason(fleet, "Halted", name="other"), timeout=40)
        assert (mode_of(fleet), halt_reason(fleet)) == ("Halted", "Halted")


def test_a_halt_that_is_being_deleted_with_a_foreign_finalizer_ends(fleet, an_operator):
    halt = a_halt()
    halt["metadata"]["finalizers"] = ["example.com/hold"]
    fleet.put(halt)
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.wait_until(has_reason(fleet, "Active"))
    assert fleet.get("PurpleFleaHalt", NS, "incident") is not None


def test_a_halt_that_was_deleted_during_a_broken_watch_ends(fleet, an_operator):
    fleet.put(a_halt())
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.stall_watches("purplefleahalts")
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.compact()
        fleet.drop_watches("purplefleahalts", cut=True)
        fleet.wait_until(has_reason(fleet, "Active"), timeout=40)


def test_a_halt_reaches_an_agent_that_is_being_deleted_and_reports_it(fleet, an_operator):
    agent = an_agent(replicas=2)
    agent["metadata"]["finalizers"] = ["example.com/hold"]
    fleet.put(agent)
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.delete("PurpleFleaAgent", NS, NAME)
        fleet.put(a_halt())
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(lambda: halt_reason(fleet, "Draining") == "Drained")
        assert halt_status(fleet)["acknowledged"] == 2


@pytest.mark.parametrize("capable", [True, False], ids=["capable image", "older image"])
def test_a_stop_that_flattens_waits_for_the_result(fleet, an_operator, capable):
    fleet.put(an_agent(replicas=2, pod={"terminationGracePeriodSeconds": 10}))
    agents = PaperAgents(fleet)
    if not capable:
        agents.unable_to_flatten.add("momentum-1")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt(level="Stop", flatten=True))
        wanted = "Stopped" if capable else "StoppedIncomplete"
        fleet.wait_until(lambda: fleet.objects("Pod") == [], timeout=40)
        fleet.wait_until(has_reason(fleet, wanted), timeout=40)
    control = fleet.get("ConfigMap", NS, NAME)["data"]["control.json"]
    assert json.loads(control)["flatten"] is True


def test_an_unreadable_halt_halts_its_namespace_and_says_so(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt(level="Freeze", selector={"matchExpressions": [{"key": "x"}]}))
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.wait_until(lambda: halt_reason(fleet, "Accepted") == "Invalid")
        fleet.wait_until(
            lambda: "AcceptedInvalid" in {item["reason"] for item in fleet.objects("Event")}
        )


COUNT = 200


@pytest.mark.timeout(300)
def test_one_halt_of_many_agents_writes_each_object_once(server, an_operator):
    names = [f"agent-{number:04}" for number in range(COUNT)]
    for name in names:
        server.put(an_agent(name, uid=f"uid-{name}"))
    waiting = list(names)

    def all_are(reason):
        while waiting and has_reason(server, reason, name=waiting[-1])():
            waiting.pop()
        return not waiting

    with an_operator(workers=32):
        server.wait_until(lambda: server.count("Pod") == COUNT, timeout=200)
        server.wait_until(lambda: all_are("Active"), timeout=60)
        server.clear()
        server.put(a_halt())
        server.wait_until(lambda: server.counts()["patch", "configmaps"] >= COUNT, timeout=60)
        server.wait_until(lambda: halt_status(server).get("acknowledged") == COUNT, timeout=90)
        waiting += names
        server.wait_until(lambda: all_are("Halted"), timeout=90)
    counts = server.counts()
    assert (counts["patch", "configmaps"], counts["patch", "pods"]) == (COUNT, COUNT)
    statuses = server.writes(resource="purplefleahalts")
    assert len(statuses) < COUNT / 2
    bodies = [item.raw for item in statuses]
    assert len(set(bodies)) == len(bodies)


@pytest.mark.parametrize("watched", [(NS,), (NS, SYSTEM)])
def test_a_bound_operator_applies_a_halt_of_the_cluster_in_its_own_namespace(
    server, an_operator, watched
):
    server.put(an_agent())
    server.put(an_agent(namespace="research", uid="uid-research"))
    with an_operator(namespace=SYSTEM, watch_namespaces=watched):
        server.wait_until(has_reason(server, "Active"))
        server.put(a_halt(namespace=SYSTEM, selector={"scope": "Cluster"}))
        server.wait_until(has_reason(server, "Halted"), timeout=20)
        server.wait_until(lambda: halt_status(server, namespace=SYSTEM).get("matched") == 1)
        server.delete("PurpleFleaHalt", SYSTEM, "incident")
        server.wait_until(has_reason(server, "Active"), timeout=20)
    assert server.get("ConfigMap", "research", NAME) is None


MANAGED_BY, COMPONENT = "app.kubernetes.io/managed-by", "app.kubernetes.io/component"


def test_a_config_map_that_lost_the_label_of_the_watch_is_labelled_again_and_halted(
    fleet, an_operator
):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.patch("ConfigMap", NS, NAME, {"metadata": {"labels": {MANAGED_BY: None}}})
        fleet.wait_until(
            lambda: MANAGED_BY in fleet.get("ConfigMap", NS, NAME)["metadata"]["labels"]
        )
        fleet.put(a_halt())
        fleet.wait_until(has_reason(fleet, "Halted"))
    assert mode_of(fleet) == "Halted"


def test_a_pod_that_lost_its_labels_for_a_moment_is_halted_too(fleet, an_operator):
    pod = f"{NAME}-1"
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        label = fleet.get("Pod", NS, pod)["metadata"]["labels"][COMPONENT]
        fleet.patch("Pod", NS, pod, {"metadata": {"labels": {COMPONENT: None}}})
        fleet.patch("Pod", NS, pod, {"metadata": {"labels": {COMPONENT: label}}})
        fleet.put(a_halt())
        fleet.wait_until(lambda: halt_status(fleet).get("acknowledged") == 2)


def test_a_bound_operator_reads_nothing_but_halts_in_its_own_namespace(server, an_operator):
    server.put(an_agent())
    server.put(an_agent(namespace=SYSTEM, uid="uid-system"))
    kind = server.kind("PurpleFleaHalt")
    server.unregister("PurpleFleaHalt")
    with an_operator(namespace=SYSTEM, watch_namespaces=(NS,)):
        server.wait_until(has_reason(server, "Active"))
        server.register(kind)
        server.put(a_halt(namespace=SYSTEM, selector={"scope": "Cluster"}))
    found = {item.resource for item in server.requests(namespace=SYSTEM)}
    assert found == set()
    with an_operator(namespace=SYSTEM, watch_namespaces=(NS,)):
        server.wait_until(has_reason(server, "Halted"))
        server.wait_until(lambda: halt_status(server, namespace=SYSTEM).get("matched") == 1)
    found = {item.resource for item in server.requests(namespace=SYSTEM)}
    assert found <= {"purplefleahalts", "events"}
    assert server.get("ConfigMap", SYSTEM, NAME) is None


def test_a_bound_operator_watches_a_kind_that_is_served_later_in_its_own_namespace(
    server, an_operator, monkeypatch
):
    monkeypatch.setattr("purpleflea_operator.timings.MISSING_KIND_RETRY_S", 0.2)
    kind = server.kind("PurpleFleaHalt")
    server.unregister("PurpleFleaHalt")
    server.put(an_agent())
    with an_operator(namespace=SYSTEM, watch_namespaces=(NS,)):
        server.wait_until(has_reason(server, "Active"))
        server.register(kind)
        server.put(a_halt(namespace=SYSTEM, selector={"scope": "Cluster"}))
        server.wait_until(has_reason(server, "Halted"), timeout=40)


def test_no_agent_starts_to_trade_while_the_halts_cannot_be_read(fleet, an_operator):
    """An agent that trades continues."""
    with an_operator():
        fleet.wait_until(has_reason(fleet, "Active"))
        fleet.wait_until(lambda: is_ready(fleet))
    refused = fleet.fail_next(resource="purplefleahalts", status=403, message="no", times=None)
    fleet.put(a_halt(selector={"names": ["unread"]}))
    with an_operator():
        for name in ("new", "unread"):
            fleet.put(an_agent(name, uid=f"uid-{name}"))
            fleet.wait_until(has_reason(fleet, "Halted", name=name))
            text = condition(fleet, "TradingActive", name)["message"]
            assert "HTTP 403" in text
            assert "grant list and watch on purplefleahalts" in text
        assert mode_of(fleet) == "Active"
        refused.cancel()
        fleet.wait_until(has_reason(fleet, "Active", name="new"), timeout=60)
        fleet.wait_until(
            lambda: (
                "PurpleFleaHalt" in condition(fleet, "TradingActive", "unread")["message"]
                and "trading/incident" in condition(fleet, "TradingActive", "unread")["message"]
            ),
            timeout=60,
        )
    modes = [
        "Active" in item.raw.decode()
        for item in fleet.writes(resource="configmaps")
        if item.name == "unread"
    ]
    assert modes == [False] * len(modes)
    assert modes


def test_a_restart_after_agents_were_halted_and_resumed_writes_nothing(fleet, an_operator):
    """Neither by a PurpleFleaHalt nor by the spec."""
    fleet.put(an_agent("other", uid="uid-other"))
    names = (NAME, "other")

    def are_all(reason):
        return lambda: all(has_reason(fleet, reason, name=name)() for name in names)

    with an_operator():
        fleet.wait_until(are_all("Active"))
        fleet.put(a_halt(selector={"names": [NAME]}))
        fleet.patch("PurpleFleaAgent", NS, "other", {"spec": {"trading": {"mode": "Halted"}}})
        fleet.wait_until(are_all("Halted"))
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.patch("PurpleFleaAgent", NS, "other", {"spec": {"trading": {"mode": "Active"}}})
        fleet.wait_until(are_all("Active"))
        for name in names:
            fleet.wait_until(lambda name=name: is_ready(fleet, name))
            fleet.wait_until(
                lambda name=name: condition(fleet, "TelemetryReady", name)["reason"] == "Connected"
            )
    fleet.clear()
    agents = PaperAgents(fleet)
    with an_operator(agents=agents):
        fleet.wait_until(lambda: len(agents.asked) == 3)
        # The halt is the last change, so that everything before it has been processed.
        fleet.put(a_halt("nothing", selector={"names": ["no-agent"]}))
        # The Event is the last write of a halt.
        fleet.wait_until(lambda: any(item.resource == "events" for item in fleet.writes()))
    written = {(item.resource, item.name.partition(".")[0]) for item in fleet.writes()}
    assert written == {("purplefleahalts", "nothing"), ("events", "nothing")}


def test_a_halt_reports_the_times_of_agents_that_were_already_halted(fleet, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt("first"))
        fleet.wait_until(lambda: halt_status(fleet, "first").get("acknowledged") == 2)
        fleet.put(a_halt("second"))
        fleet.wait_until(lambda: halt_status(fleet, "second").get("acknowledged") == 2)
        assert halt_status(fleet, "second")["firstAcknowledgedAt"]
        assert halt_status(fleet, "second")["lastAcknowledgedAt"]


def test_a_restarted_operator_keeps_the_times_of_a_halt_if_an_agent_does_not_answer(
    fleet, an_operator, monkeypatch
):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.put(a_halt())
        fleet.wait_until(lambda: halt_status(fleet).get("drained") == 2)
    before = halt_status(fleet)
    monkeypatch.setattr("purpleflea_operator.timings.HALT_RESTART_S", 5)
    agents = PaperAgents(fleet)
    agents.unresponsive.add("momentum-1")
    with an_operator(agents=agents):
        fleet.wait_until(lambda: halt_status(fleet)["acknowledged"] == 1)
        for key in ("firstAcknowledgedAt", "lastAcknowledgedAt"):
            assert halt_status(fleet)[key] == before[key]


@pytest.mark.parametrize(
    ("when", "label"),
    [
        ("before the halt", COMPONENT),
        ("after the halt", "app.kubernetes.io/instance"),
        ("while no operator runs", COMPONENT),
    ],
)
def test_a_pod_without_a_label_is_found_and_must_acknowledge(fleet, an_operator, when, label):
    """The watch reports such a pod as deleted."""
    pod, agents = f"{NAME}-1", PaperAgents(fleet)
    agents.unresponsive.add(pod)

    def remove_label():
        fleet.patch("Pod", NS, pod, {"metadata": {"labels": {label: None}}})

    def check():
        fleet.wait_until(lambda: label in fleet.get("Pod", NS, pod)["metadata"]["labels"])
        fleet.wait_until(lambda: halt_status(fleet).get("running") == 2)
        fleet.wait_until(has_reason(fleet, "Halting"))
        assert halt_status(fleet).get("acknowledged", 0) < 2
        agents.unresponsive.clear()
        fleet.wait_until(lambda: halt_status(fleet).get("drained") == 2, timeout=40)
        fleet.wait_until(has_reason(fleet, "Halted"))

    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        if when == "before the halt":
            remove_label()
        if when != "while no operator runs":
            fleet.put(a_halt())
            fleet.wait_until(lambda: mode_of(fleet) == "Halted")
        if when == "after the halt":
            remove_label()
        if when != "while no operator runs":
            check()
            return
    remove_label()
    fleet.put(a_halt())
    with an_operator(agents=agents):
        check()


def test_a_pod_that_is_replaced_while_halted_costs_one_read_at_most(fleet, an_operator):
    """It costs none if the new pod runs before the read is due."""
    fleet.put(a_halt())
    with an_operator():
        fleet.wait_until(lambda: halt_status(fleet).get("drained") == 2)
        fleet.clear()
        before = fleet.get("Pod", NS, f"{NAME}-1")["metadata"]["uid"]
        fleet.delete("Pod", NS, f"{NAME}-1")
        fleet.wait_until(
            lambda: (
                (fleet.get("Pod", NS, f"{NAME}-1") or {"metadata": {"uid": before}})["metadata"][
                    "uid"
                ]
                != before
            )
        )
        fleet.wait_until(has_reason(fleet, "Halted"))
        fleet.put(a_halt("nothing", selector={"names": ["no-agent"]}))
        fleet.wait_until(lambda: halt_status(fleet, "nothing").get("conditions"))
    assert len(fleet.lists(resource="pods")) <= 1

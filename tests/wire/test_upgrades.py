"""Upgrades of the operator: changes of the pod template that no user has requested."""

from collections import Counter

import pytest

from support.builders import a_datadog_daemon_set, an_agent

NS = "trading"
OLD, NEW = "registry.example.com/agent:1", "registry.example.com/agent:2"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def with_datadog(server):
    server.put(a_datadog_daemon_set(host_ports=True))


def condition(server, name, kind):
    conditions = server.get("PurpleFleaAgent", NS, name).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def is_settled(server, name):
    """Return whether the operator has completed all work on an agent."""
    agent = server.get("PurpleFleaAgent", NS, name)
    is_current = (
        agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"]
    )
    return (
        is_current
        and condition(server, name, "Ready").get("status") == "True"
        and condition(server, name, "Progressing").get("reason") == "Complete"
    )


def waits(server, name):
    return condition(server, name, "Progressing").get("reason") == "OperatorUpgrade"


def announced(server):
    return [item for item in server.objects("Event") if item["reason"] == "OperatorUpgrade"]


def images(server):
    return Counter(pod["spec"]["containers"][0]["image"] for pod in server.objects("Pod"))


def image_of(server, pod):
    return server.get("Pod", NS, pod)["spec"]["containers"][0]["image"]


def uids(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


def writes(server):
    return Counter(
        (item.verb, item.full_resource)
        for item in server.writes()
        if "purpleflea-operator" in item.user_agent
    )


@pytest.fixture
def a_fleet(server, an_operator):
    """Return a function that creates agents with an operator whose default image is the old one."""

    def create(*names, **spec):
        for name in names:
            server.put(an_agent(name, uid=f"uid-{name}", **spec))
        with an_operator(agent_image=OLD):
            server.wait_until(lambda: all(is_settled(server, name) for name in names), timeout=60)
        server.clear()
        return names

    return create


@pytest.fixture
def new_pods_wait(server):
    """Return a function that lets the pods with the new image become ready."""
    allowed = set()

    def is_ready(pod):
        return pod["spec"]["containers"][0]["image"] == OLD or pod["metadata"]["name"] in allowed

    server.statefulsets.let_ready(is_ready)

    def let(*names):
        allowed.update(names)
        server.statefulsets.let_ready(is_ready)

    return let


def test_an_upgrade_restarts_a_percentage_of_the_agents_at_a_time(
    server, an_operator, a_fleet, new_pods_wait
):
    names = a_fleet(*(f"agent-{number:02}" for number in range(20)))
    done = set()
    with an_operator(agent_image=NEW, agent_restart_percent=10):
        server.wait_until(lambda: all(waits(server, name) for name in names), timeout=60)
        for replaced in (2, 4):
            server.wait_until(lambda at=replaced: images(server)[NEW] == at, timeout=30)
            current = {name for name in names if image_of(server, f"{name}-0") == NEW} - done
            done |= current
            new_pods_wait(*(f"{name}-0" for name in current))
        # An operator that stops does not send the Events that are still queued. The third pair starts now, and the next
        # one does not, because the pods of the third pair wait.
        server.wait_until(lambda: images(server)[NEW] == 6, timeout=30)
        server.wait_until(lambda: len(announced(server)) >= 6, timeout=30)
    with an_operator(agent_image=NEW, agent_restart_percent=50):
        server.wait_until(lambda: images(server)[NEW] >= 12, timeout=30)
        assert images(server)[OLD] > 0
        new_pods_wait(*(f"{name}-0" for name in names))
        server.wait_until(lambda: all(is_settled(server, name) for name in names), timeout=60)
        # An Event is sent after the status.
        server.wait_until(lambda: len(announced(server)) >= 20, timeout=30)
    assert images(server) == {NEW: 20}
    events = announced(server)
    assert len(events) == 20
    assert any("18 more agents" in item["message"] for item in events)
    found = writes(server)
    # An agent that waits is reported once; the restart costs the statuses of any restart.
    assert found.pop(("patch", "purplefleaagents/status")) <= 4 * 20
    assert found == {("patch", "statefulsets"): 20, ("create", "events"): 20}


def test_agents_of_another_env_do_not_wait(server, an_operator, a_fleet, new_pods_wait):
    a_fleet("paper-0", "paper-1", datadog={"env": "paper"})
    a_fleet("live-0", "live-1", datadog={"env": "live"})
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: images(server)[NEW] == 2)
        replaced = {name[:-4] for name in uids(server) if image_of(server, name) == NEW}
    assert replaced == {"paper", "live"}


def test_a_new_image_of_the_telemetry_gate_is_paced_for_pinned_images(server, an_operator, a_fleet):
    pinned = {"repository": OLD.rpartition(":")[0], "tag": "1"}
    names = a_fleet("one", "two", image=pinned, datadog={"whenMissing": "Hold"})
    before = uids(server)
    server.statefulsets.let_ready(lambda pod: pod["metadata"]["uid"] in before.values())
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: len(uids(server).items() - before.items()) == 1)
        (waiting,) = [name for name in names if uids(server)[f"{name}-0"] == before[f"{name}-0"]]
        server.wait_until(lambda: waits(server, waiting))
        server.statefulsets.let_ready(lambda pod: True)
        server.wait_until(lambda: not uids(server).items() & before.items())


@pytest.mark.parametrize(
    ("change", "replicas"),
    [
        pytest.param({"replicas": 2}, 2, id="scale"),
        pytest.param({"trading": {"mode": "Halted"}}, 1, id="halt"),
        pytest.param({"network": {"egressPorts": [443]}}, 1, id="network"),
        pytest.param({"storage": {"size": "2Gi"}}, 1, id="size of the volume"),
    ],
)
def test_a_change_that_restarts_no_pod_keeps_the_pods_of_an_agent_that_waits(
    server, an_operator, a_fleet, new_pods_wait, change, replicas
):
    names = a_fleet("one", "two", storage={"size": "1Gi"})
    before = uids(server)
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: images(server)[NEW] == 1)
        (waiting,) = [name for name in names if image_of(server, f"{name}-0") == OLD]
        server.wait_until(lambda: waits(server, waiting))
        stateful_set = server.get("StatefulSet", NS, waiting)["metadata"]["uid"]
        server.patch("PurpleFleaAgent", NS, waiting, {"spec": change})
        server.wait_until(
            lambda: (
                server.get("PurpleFleaAgent", NS, waiting)["status"]["observedGeneration"] == 2
                and server.get("StatefulSet", NS, waiting) is not None
                and len([name for name in uids(server) if name.startswith(waiting)]) == replicas
            )
        )
        recreated = server.get("StatefulSet", NS, waiting)
    assert (recreated["metadata"]["uid"] != stateful_set) == ("storage" in change)
    assert uids(server)[f"{waiting}-0"] == before[f"{waiting}-0"]
    assert {image_of(server, f"{waiting}-{number}") for number in range(replicas)} == {OLD}
    assert OLD in str(recreated)


def test_a_change_by_a_user_does_not_wait_and_restarts_the_pods_once(
    server, an_operator, a_fleet, new_pods_wait
):
    names = a_fleet("one", "two")
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: images(server)[NEW] == 1)
        (waiting,) = [name for name in names if image_of(server, f"{name}-0") == OLD]
        server.wait_until(lambda: waits(server, waiting))
        server.clear()
        server.patch("PurpleFleaAgent", NS, waiting, {"spec": {"trading": {"interval": "7s"}}})
        server.wait_until(lambda: images(server)[NEW] == 2)
        new_pods_wait("one-0", "two-0")
        server.wait_until(lambda: all(is_settled(server, name) for name in names), timeout=30)
    assert [item.name for item in server.writes(verb="patch", resource="statefulsets")] == [waiting]


def test_an_agent_that_fails_after_its_upgrade_stops_the_upgrade_of_others(
    server, an_operator, a_fleet, new_pods_wait
):
    names = a_fleet("one", "two", "three")
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: images(server)[NEW] == 1)
        (broken,) = [name for name in names if image_of(server, f"{name}-0") == NEW]
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        statuses = [{"name": "agent", "ready": False, "restartCount": 3, "state": state}]
        crash = {"spec": {"nodeName": "node-0"}, "status": {"containerStatuses": statuses}}
        server.patch("Pod", NS, f"{broken}-0", crash)
        server.wait_until(
            lambda: condition(server, broken, "Progressing").get("status") == "False", timeout=40
        )
        progress = condition(server, broken, "Progressing")
        assert progress["reason"] == "CrashLooping"
        assert "upgrade of the other agents of env" in progress["message"]
        assert images(server) == {OLD: 2, NEW: 1}
    # Another replica of the operator continues to wait for this agent.
    with an_operator(agent_image=NEW):
        server.put(an_agent("witness", uid="uid-witness", datadog={"env": "other"}))
        server.wait_until(lambda: server.get("Pod", NS, "witness-0") is not None, timeout=30)
        assert images(server)[OLD] == 2
        new_pods_wait(*(f"{name}-0" for name in names))
        server.wait_until(lambda: images(server)[NEW] == 4, timeout=30)


def test_with_the_policy_manual_an_agent_waits_for_a_request(server, an_operator, a_fleet):
    names = a_fleet("one", "two")
    before = uids(server)
    with an_operator(agent_image=NEW, agent_upgrade_policy="Manual"):
        server.wait_until(lambda: all(waits(server, name) for name in names))
        assert "kubectl annotate pfa one" in condition(server, "one", "Progressing")["message"]
        request = {"metadata": {"annotations": {"purpleflea.com/upgrade": "1"}}}
        server.patch("PurpleFleaAgent", NS, "one", request)
        server.wait_until(lambda: is_settled(server, "one"), timeout=30)
    assert image_of(server, "one-0") == NEW
    assert uids(server)["two-0"] == before["two-0"]
    # The request is used up: the next upgrade needs another value.
    with an_operator(agent_image="registry.example.com/agent:3", agent_upgrade_policy="Manual"):
        server.wait_until(lambda: waits(server, "one"))
        assert image_of(server, "one-0") == NEW


def test_a_restart_by_kubectl_is_no_upgrade(server, an_operator, a_fleet):
    a_fleet("one")
    before = uids(server)
    with an_operator(agent_image=NEW, agent_upgrade_policy="Manual"):
        server.wait_until(lambda: waits(server, "one"))
        server.clear()
        restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        change = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
        server.patch("StatefulSet", NS, "one", change, manager="kubectl-rollout")
        server.wait_until(lambda: uids(server).get("one-0", before["one-0"]) != before["one-0"])
        server.wait_until(lambda: condition(server, "one", "Ready").get("status") == "True")
    assert image_of(server, "one-0") == OLD
    assert server.writes(resource="statefulsets", user_agent="purpleflea-operator") == []


def test_requested_upgrades_are_paced(server, an_operator, a_fleet, new_pods_wait):
    names = a_fleet("one", "two", "three")
    with an_operator(agent_image=NEW, agent_upgrade_policy="Manual"):
        server.wait_until(lambda: all(waits(server, name) for name in names))
        for name in names:
            request = {"metadata": {"annotations": {"purpleflea.com/upgrade": "1"}}}
            server.patch("PurpleFleaAgent", NS, name, request)
        server.wait_until(lambda: images(server)[NEW] == 1)
        server.wait_until(
            lambda: (
                sum(
                    "their turn" in condition(server, name, "Progressing")["message"]
                    for name in names
                )
                == 2
            ),
            timeout=30,
        )
        assert images(server)[NEW] == 1
        new_pods_wait(*(f"{name}-0" for name in names))
        server.wait_until(lambda: images(server) == {NEW: 3}, timeout=30)


def test_a_rollback_of_the_operator_restarts_only_the_agents_that_were_upgraded(
    server, an_operator, a_fleet, new_pods_wait
):
    names = a_fleet("one", "two", "three")
    before = uids(server)
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: images(server)[NEW] == 1)
        server.wait_until(lambda: sum(waits(server, name) for name in names) >= 2)
    with an_operator(agent_image=OLD):
        server.wait_until(lambda: all(is_settled(server, name) for name in names), timeout=30)
    assert images(server) == {OLD: 3}
    assert len(uids(server).items() & before.items()) == 2


def test_agents_without_a_record_of_their_template_are_upgraded_one_after_the_other(
    server, an_operator, a_fleet, new_pods_wait
):
    """The StatefulSets of an operator without this feature have neither the record nor the hash of the template."""
    names = a_fleet("one", "two", "three")
    for name in names:
        found = server.get("StatefulSet", NS, name)
        del found["metadata"]["annotations"]["purpleflea.com/spec-hash"]
        template = found["spec"]["template"]["metadata"]
        del template["annotations"]["purpleflea.com/template-hash"]
        server.put(found)
    server.wait_until(
        lambda: not any("template-hash" in str(item) for item in server.objects("Pod"))
    )
    server.wait_until(
        lambda: all(
            item["status"]["readyReplicas"] == 1 == item["status"]["updatedReplicas"]
            for item in server.objects("StatefulSet")
        )
    )
    server.clear()
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: images(server)[NEW] == 1)
        server.wait_until(lambda: sum(waits(server, name) for name in names) >= 2)
        assert len(server.writes(resource="statefulsets")) == 1


def test_an_agent_without_pods_gets_the_new_template_at_once(server, an_operator, a_fleet):
    a_fleet("one", replicas=0)
    with an_operator(agent_image=NEW):
        server.wait_until(lambda: NEW in str(server.get("StatefulSet", NS, "one")))
        server.patch("PurpleFleaAgent", NS, "one", {"spec": {"replicas": 1}})
        server.wait_until(lambda: images(server) == {NEW: 1})


def test_a_drifted_template_is_repaired_at_once(server, an_operator, a_fleet):
    a_fleet("one")
    with an_operator(agent_image=OLD):
        server.wait_until(lambda: is_settled(server, "one"))
        drift = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}
        server.patch("StatefulSet", NS, "one", drift, manager="them")
        server.wait_until(
            lambda: (
                server.get("StatefulSet", NS, "one")["spec"]["template"]["spec"][
                    "terminationGracePeriodSeconds"
                ]
                == 30
            )
        )
    assert announced(server) == []

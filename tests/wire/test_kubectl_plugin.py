"""`kubectl purpleflea halt | stop | resume` with the real kubectl against the fake API server."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from kubectl_purpleflea.decisions.halts import Proof
from kubectl_purpleflea.kubectl.agents import AgentError
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.workflows import halting
from kubectl_purpleflea.workflows.halting import Wait
from support.apiserver.faults import Fault
from support.apiserver.kinds import Kind
from support.builders import a_datadog_daemon_set, a_halt, an_agent
from support.paper_agents import PaperAgents
from support.plugin import Plugin, kubectl  # noqa: F401 - a fixture

NS, NAME, SYSTEM = "trading", "momentum", "purpleflea-system"
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("kubectl")]


@pytest.fixture
def fleet(server):
    """One agent with two pods."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2))
    return server


@pytest.fixture
def plugin(server):
    return Plugin("--server", server.url, "--namespace", NS)


def is_ready(server):
    return reason_of(server, "Ready") == "Ready"


def reason_of(server, kind="TradingActive"):
    found = server.get("PurpleFleaAgent", NS, NAME) or {}
    conditions = found.get("status", {}).get("conditions", [])
    return next((item["reason"] for item in conditions if item["type"] == kind), None)


def control_file(server, name=NAME):
    return server.get("ConfigMap", NS, name)["data"]["control.json"]


def the_halt(server):
    (found,) = server.objects("PurpleFleaHalt")
    return found


def with_defaults(halt):
    """Return a halt as a real API server stores it."""
    selector = {"scope": "Namespace", **halt["spec"]["selector"]}
    return {**halt, "spec": {"flatten": False, **halt["spec"], "selector": selector}}


def test_a_halt_is_proven_by_the_operator_and_a_resume_ends_it(fleet, plugin, an_operator):
    fleet.add_webhook("PurpleFleaHalt", with_defaults)
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        done = plugin.run("halt", "--all", "--reason=prices are wrong", "--wait=drained")
        assert done.exit_code == 0, done.output
        assert "PROVEN: 2/2 running agents of 1 resource have acknowledged" in done.output
        assert "first acknowledgement 20" in done.output
        spec = the_halt(fleet)["spec"]
        assert (spec["level"], spec["reason"]) == ("Halt", "prices are wrong")
        done = plugin.run("resume", NAME)
        assert done.exit_code == 1
        name = the_halt(fleet)["metadata"]["name"]
        assert f"kubectl purpleflea resume {name}" in done.output
        done = plugin.run("resume", name)
        assert done.exit_code == 0, done.output
        assert reason_of(fleet) == "Active"


def test_agents_that_other_halts_hold_are_named_at_the_end_of_one(fleet, plugin, an_operator):
    fleet.put(a_halt("other"))
    with an_operator():
        fleet.wait_until(lambda: reason_of(fleet) == "Halted")
        assert plugin.run("halt", NAME, "--reason=second", "--name=mine").exit_code == 0
        done = plugin.run("resume", "mine")
    assert done.exit_code == 0, done.output
    assert "trading/momentum: Halted by trading/other" in done.output


def test_a_halt_of_a_missing_agent_is_not_proven(fleet, plugin, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        done = plugin.run("halt", NAME, "momentmu", "--reason=typo", "--timeout=2")
        assert done.exit_code == 3
        assert "1 of the 2 named agents do not exist" in done.output
        done = plugin.run("halt", "momentmu", "--reason=typo", "-o", "json", "--timeout=10")
        assert done.exit_code == 3
        assert "no agent matches" in done.output


def test_an_agent_without_an_acknowledgement_is_named(fleet, plugin, an_operator):
    agents = PaperAgents(fleet)
    agents.unresponsive = {"momentum-1"}
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        done = plugin.run("stop", "--all", "--reason=test", "--timeout=3")
    assert done.exit_code == 3
    assert "NOT PROVEN" in done.output
    assert "trading/momentum-1: has not acknowledged Stopped" in done.output


def test_a_halt_that_is_deleted_meanwhile_is_not_proven(fleet, plugin, an_operator):
    agents = PaperAgents(fleet)
    agents.unresponsive = {"momentum-1"}
    with an_operator(agents=agents):
        fleet.wait_until(lambda: is_ready(fleet))
        thread = threading.Thread(target=delete_when_reported, args=(fleet,))
        thread.start()
        done = plugin.run("halt", "--all", "--reason=test", "--name=short", "--timeout=20")
        thread.join()
    assert done.exit_code == 3
    assert "the halt was deleted, so the agents may trade" in done.output


def delete_when_reported(server):
    def is_reported():
        halt = server.get("PurpleFleaHalt", NS, "short")
        return halt and halt.get("status", {}).get("running")

    server.wait_until(is_reported)
    server.delete("PurpleFleaHalt", NS, "short")


def test_a_lost_answer_to_the_create_halts_once(fleet, plugin, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        fleet.lose_reply(verb="create", resource="purplefleahalts")
        done = plugin.run("halt", "--all", "--reason=test", "--request-timeout=5s")
    assert done.exit_code == 0, done.output
    assert len(fleet.objects("PurpleFleaHalt")) == 1


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (403, 1, "NOTHING WAS HALTED"),
        (422, 1, "NOTHING WAS HALTED"),
        (503, 3, "it is unknown whether the halt exists"),
        (504, 3, "it is unknown whether the halt exists"),
        (500, 3, "it is unknown whether the halt exists"),
    ],
)
def test_a_refused_halt_differs_from_one_without_an_answer(fleet, plugin, status, code, text):
    fleet.fail_next(status=status, times=None, verb="create", resource="purplefleahalts")
    done = plugin.run("halt", "--all", "--reason=test")
    assert done.exit_code == code, done.output
    assert text in done.output
    assert fleet.objects("PurpleFleaHalt") == []


def test_a_missing_crd_is_named(server, plugin):
    server.unregister("PurpleFleaHalt")
    done = plugin.run("halt", "--all", "--reason=test")
    assert done.exit_code == 1
    assert "install the chart of the operator" in done.output


class PodAgents:
    """Agents that read the control file of their ConfigMap when they are nudged, like those of a cluster."""

    def __init__(self, server):
        self._server = server
        self.silent = set()
        self.has_read = False
        """Whether the agents read the file without an annotation, as after a minute."""
        self.asked = []

    def read(self, namespace, pod, path):
        self.asked.append(pod)
        found = self._server.get("Pod", namespace, pod)
        if found is None or pod in self.silent:
            raise AgentError("no answer")
        nudge = found["metadata"].get("annotations", {}).get("purpleflea.com/mode")
        mode = "Active"
        if nudge or self.has_read:
            mode = json.loads(control_file(self._server))["mode"]
        return {"mode": mode, "at_rest": mode != "Active", "since": "2026-01-01T00:00:01Z"}


@pytest.fixture
def stopped_operator(fleet, an_operator):
    """A fleet whose operator has ended: its Lease is not renewed."""
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
    fleet.register(Kind(group="apps", plural="deployments", kind="Deployment", status=True))
    labels = {"app.kubernetes.io/name": "purpleflea-operator"}
    metadata = {"name": "purpleflea-operator", "namespace": SYSTEM}
    fleet.put(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**metadata, "labels": labels},
            "spec": {"replicas": 1},
        }
    )
    renewed = datetime.now(UTC) - timedelta(minutes=5)
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 10, "renewTime": renewed.isoformat()}
    fleet.put(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }
    )
    fleet.clear()
    return fleet


def proven(server, halt, *, agents=None, proof=Proof.DRAINED, timeout_s=8.0):
    client = Kubectl(flags=(f"--server={server.url}",), namespace=NS)
    said = []
    wait = Wait(proof=proof, timeout_s=timeout_s)
    found = halting.wait_for_proof(
        client, agents or PodAgents(server), server.put(halt), wait, report=said.append
    )
    return found, said


@pytest.mark.parametrize(
    ("spec", "content"),
    [
        ({}, '{"mode":"Halted","generation":0}'),
        ({"level": "Stop"}, '{"mode":"Stopped","generation":0}'),
    ],
)
def test_without_an_operator_the_command_writes_what_the_operator_keeps(
    stopped_operator, an_operator, spec, content
):
    fleet = stopped_operator
    found, said = proven(fleet, a_halt(**spec))
    assert (found.is_proven, found.by_agents, found.acknowledged) == (True, True, 2)
    assert "The operator does not answer." in said[0]
    assert control_file(fleet) == content
    assert found.first == "2026-01-01T00:00:01Z"
    before = fleet.get("ConfigMap", NS, NAME)["metadata"]["resourceVersion"]
    fleet.clear()
    with an_operator():
        fleet.wait_until(lambda: reason_of(fleet) in ("Halted", "Stopped"))
        assert control_file(fleet) == content
        assert not any(
            "Active" in request.raw.decode() for request in fleet.writes(resource="configmaps")
        )
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.wait_until(lambda: reason_of(fleet) == "Active", timeout=40)
    assert control_file(fleet) == '{"mode":"Active","generation":0}'
    assert before


def test_a_silent_agent_is_unproven_without_an_operator(stopped_operator):
    agents = PodAgents(stopped_operator)
    agents.silent = {"momentum-0"}
    found, _ = proven(stopped_operator, a_halt(), agents=agents, timeout_s=1.0)
    assert not found.is_proven
    assert found.unproven == ("trading/momentum-0: no acknowledgement: no answer",)


def test_a_conflict_is_decided_again_and_never_loosens(stopped_operator):
    fleet = stopped_operator

    def tighten(request):
        stopped = {"data": {"control.json": '{"mode":"Stopped","generation":0}'}}
        fleet.patch("ConfigMap", NS, NAME, stopped)

    fault = fleet.fail_next(status=409, verb="patch", resource="configmaps")
    fault.on_hit = tighten
    found, _ = proven(fleet, a_halt(), proof=Proof.HALTED)
    assert found.is_proven
    assert json.loads(control_file(fleet))["mode"] == "Stopped"


@pytest.mark.parametrize("status", [403, 500])
def test_a_control_file_that_cannot_be_written_is_unproven(stopped_operator, status):
    stopped_operator.fail_next(status=status, times=None, verb="patch", resource="configmaps")
    found, _ = proven(stopped_operator, a_halt(), timeout_s=1.0)
    assert not found.is_proven
    assert any("momentum: the mode is not written" in item for item in found.unproven)


def test_a_lost_answer_to_the_write_is_read_again(stopped_operator):
    stopped_operator.lose_reply(verb="patch", resource="configmaps")
    found, _ = proven(stopped_operator, a_halt())
    assert found.is_proven
    assert json.loads(control_file(stopped_operator))["mode"] == "Halted"


def test_a_config_map_that_was_deleted_is_created_again(stopped_operator, an_operator):
    fleet = stopped_operator
    fleet.delete("ConfigMap", NS, NAME)
    found, _ = proven(fleet, a_halt())
    assert found.is_proven
    with an_operator():
        fleet.wait_until(lambda: reason_of(fleet) == "Halted")
    assert json.loads(control_file(fleet))["mode"] == "Halted"


def test_a_resume_without_an_operator_is_not_proven(stopped_operator, plugin):
    proven(stopped_operator, a_halt())
    done = plugin.run("resume", "incident", "--timeout=0")
    assert done.exit_code == 3, done.output
    assert "its control file still has the mode of a halt" in done.output


def test_a_halt_that_was_recreated_with_the_name_is_not_deleted(fleet, plugin):
    fleet.put(a_halt())

    def recreate(_):
        fleet.delete("PurpleFleaHalt", NS, "incident")
        fleet.put({**a_halt(), "metadata": {**a_halt()["metadata"], "uid": "another"}})

    for verb, flags in (("delete", ()), ("patch", ("--force",))):
        fault = Fault(effect="pass", where={"verb": verb, "resource": "purplefleahalts"})
        fault.on_hit = recreate
        fleet.plan(fault)
        done = plugin.run("resume", "incident", "--timeout=0", *flags)
        assert done.exit_code == 1, done.output
        assert "another halt with this name was created meanwhile, and stays" in done.output
        found = the_halt(fleet)["metadata"]
        assert (found["uid"], "annotations" in found and found["annotations"]) in (
            ("another", False),
            ("another", {}),
        )
        fleet.put(a_halt())


def test_a_pod_that_acknowledged_needs_no_annotation(stopped_operator):
    fleet = stopped_operator
    fleet.fail_next(status=403, times=None, verb="patch", resource="pods")
    agents = PodAgents(fleet)
    agents.has_read = True
    found, _ = proven(fleet, a_halt(), agents=agents, timeout_s=1.0)
    assert found.is_proven
    agents.has_read = False
    found, _ = proven(fleet, a_halt(), agents=agents, timeout_s=1.0)
    assert any("may reach the agent a minute late" in item for item in found.unproven)


@pytest.mark.parametrize(("namespace", "is_proven"), [(SYSTEM, True), (NS, False)])
def test_a_cluster_halt_is_proven_only_in_the_namespace_of_the_operator(
    stopped_operator, namespace, is_proven
):
    halt = a_halt(namespace=namespace, selector={"scope": "Cluster"})
    found, _ = proven(stopped_operator, halt)
    assert found.is_proven is is_proven
    assert found.acknowledged == 2
    assert any("the operator may resume agents" in item for item in found.unproven) is not is_proven


def test_only_selected_agents_are_written(stopped_operator):
    found, _ = proven(stopped_operator, a_halt(selector={"names": ["other"]}), timeout_s=0.5)
    assert not found.is_proven
    assert found.unproven == ("no agent matches, so nothing is halted",)
    assert stopped_operator.writes() == []


def test_status_and_why_read_the_fleet(fleet, plugin, an_operator):
    with an_operator():
        fleet.wait_until(lambda: is_ready(fleet))
        done = plugin.run("status", "--all-namespaces")
        assert done.exit_code == 0, done.output
        assert "1 agent, 2/2 identities ready" in done.output
        assert "└─ momentum-1" in done.output
        content = json.loads(plugin.run("status", "--output=json").output)
        assert content["clusters"][0]["agents"][0]["name"] == NAME
        done = plugin.run("status", "momentmu", "--no-live")
        assert (done.exit_code, "momentmu does not exist" in done.output) == (1, True)
        fleet.fail_next(status=403, times=None, verb="list", resource="pods")
        assert plugin.run("why", NAME).exit_code == 3
    assert plugin.run("why", "momentmu").exit_code == 1

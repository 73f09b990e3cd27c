"""One round of a halt without the operator, over pods in every state: proven only if no pod may trade."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kubectl_purpleflea.kubectl.agents import AgentError
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.workflows.direct import DirectHalt
from support.apiserver.faults import Fault
from support.builders import a_halt, an_agent
from support.plugin import kubectl  # noqa: F401 - a fixture

NS, NAME = "trading", "momentum"
PROGRAM = Path(sys.executable).parent / "kubectl-purpleflea"
pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("kubectl")]
RUNNING = {"state": {"running": {}}, "restartCount": 0}
WAITING = {"state": {"waiting": {"reason": "ContainerCreating"}}, "restartCount": 0}
CRASHED = {"state": {"terminated": {"exitCode": 1}}, "restartCount": 0}
BACKING_OFF = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}
LABELS = {"app.kubernetes.io/name": "purpleflea-agent", "app.kubernetes.io/instance": NAME}


def a_pod(name="momentum-0", state=RUNNING, *, uid="", node="n1", labels=LABELS, **metadata):
    statuses = [] if state is None else [{"name": "agent", **state}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NS,
            "uid": uid or f"uid-{name}",
            "labels": labels,
            **metadata,
        },
        "spec": {"containers": [{"name": "agent"}], **({"nodeName": node} if node else {})},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


def a_config_map(mode="Active", **metadata):
    owner = {"apiVersion": "purpleflea.com/v1alpha1", "kind": "PurpleFleaAgent", "name": NAME}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": NS,
            "labels": {"app.kubernetes.io/managed-by": "purpleflea-operator"},
            "ownerReferences": [{**owner, "uid": "agent-uid", "controller": True}],
            **metadata,
        },
        "data": {"control.json": json.dumps({"mode": mode, "generation": 0})},
    }


class Agents:
    """Agents that have the mode of the ConfigMap."""

    def __init__(self, server):
        self._server = server
        self.asked = []
        self.on_read = lambda: None

    def read(self, namespace, pod, path):
        self.asked.append(pod)
        self.on_read()
        found = self._server.get("ConfigMap", namespace, NAME)
        if found is None:
            raise AgentError("no answer")
        mode = json.loads(found["data"]["control.json"])["mode"]
        return {"mode": mode, "at_rest": mode != "Active", "since": "2026-01-01T00:00:01Z"}


@pytest.fixture
def fleet(server_without_pods):
    """An agent with its ConfigMap, and no operator."""
    server = server_without_pods
    server.put(an_agent(replicas=2))
    server.put(a_config_map())
    return server


def a_direct_halt(server, **spec):
    client = Kubectl(flags=(f"--server={server.url}",), namespace=NS)
    return DirectHalt(kubectl=client, agents=Agents(server), halt=server.put(a_halt(**spec)))


def mode(server):
    found = server.get("ConfigMap", NS, NAME)
    return None if found is None else json.loads(found["data"]["control.json"])["mode"]


STARTING = "has not started, and may start with an earlier control file"
TERMINATING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
OTHER = {**LABELS, "app.kubernetes.io/instance": "momentum-fx"}
ASKED = {
    "running": a_pod("momentum-0"),
    "no status yet": a_pod("momentum-1", None),
    "crash loop": a_pod("momentum-2", BACKING_OFF),
    "crashed once": a_pod("momentum-3", CRASHED),
    "running and terminating": a_pod("momentum-4", **TERMINATING),
    "without labels": a_pod("momentum-5", labels={}),
    "a copy": a_pod("momentum-0-copy"),
}
ABOUT_TO_START = {
    "creating": a_pod("momentum-6", WAITING),
    "creating and terminating": a_pod("momentum-7", WAITING, **TERMINATING),
}
NOT_RUNNING = {
    "not scheduled": a_pod("momentum-8", None, node=""),
    "ended and terminating": a_pod("momentum-9", CRASHED, **TERMINATING),
    "evicted": {**a_pod("momentum-10", None), "status": {"phase": "Failed"}},
    "of another agent": a_pod("momentum-fx-0", labels=OTHER),
    "of another workload": a_pod("momentum-11-x", labels={}),
}


def test_each_pod_that_may_trade_must_acknowledge(fleet):
    for pod in (ASKED | ABOUT_TO_START | NOT_RUNNING).values():
        fleet.put(pod)
    fleet.put({**a_pod(), "metadata": {**a_pod()["metadata"], "namespace": "other", "uid": "u"}})
    halt = a_direct_halt(fleet)
    state = halt.advance()
    assert mode(fleet) == "Halted"
    assert set(halt.agents.asked) == {pod["metadata"]["name"] for pod in ASKED.values()}
    names = sorted(pod["metadata"]["name"] for pod in ABOUT_TO_START.values())
    assert [item.partition(":")[0] for item in state.unproven] == [f"{NS}/{item}" for item in names]
    assert all(STARTING in item for item in state.unproven)
    # They acknowledge when they run.
    for pod in ABOUT_TO_START.values():
        status = {"phase": "Running", "containerStatuses": [{"name": "agent", **RUNNING}]}
        fleet.put({**pod, "status": status})
    assert halt.advance().unproven == ()


def on(server, verb, resource, action):
    """Call a function at the first matching request, before it is processed."""
    fault = Fault(effect="pass", where={"verb": verb, "resource": resource})
    fault.on_hit = lambda _: action()
    server.plan(fault)


def test_a_pod_that_is_created_before_the_write_is_not_missed(fleet):
    on(fleet, "patch", "configmaps", lambda: fleet.put(a_pod(state=WAITING)))
    state = a_direct_halt(fleet).advance()
    assert (state.running, STARTING in state.unproven[0]) == (1, True)


def test_a_pod_that_is_created_after_the_write_starts_with_the_mode(fleet):
    fleet.put(a_pod())
    halt = a_direct_halt(fleet)
    assert halt.advance().unproven == ()
    fleet.put(a_pod("momentum-1", WAITING))
    state = halt.advance()
    assert (state.running, state.unproven) == (1, ())
    # If the file has another content meanwhile, the pod may have mounted that.
    fleet.put(a_config_map())
    state = halt.advance()
    assert (state.running, len(state.unproven)) == (2, 1)


def test_a_pod_that_is_replaced_while_it_is_asked_is_asked_again(fleet):
    fleet.put(a_pod())
    halt = a_direct_halt(fleet)

    def replace():
        fleet.delete("Pod", NS, "momentum-0")
        fleet.put(a_pod(uid="another"))
        halt.agents.on_read = lambda: None

    halt.agents.on_read = replace
    assert halt.advance().unproven == (
        "trading/momentum-0: it was created while the agents were asked",
    )
    assert halt.advance().unproven == ()
    assert halt.agents.asked == ["momentum-0", "momentum-0"]


@pytest.mark.parametrize(
    ("denied", "names", "is_proven"),
    [
        ({"verb": "list", "resource": "pods"}, (), False),
        ({"verb": "list", "resource": "configmaps"}, (), True),
        ({"verb": "list", "resource": "purplefleaagents"}, (NAME,), True),
        ({"verb": "patch", "resource": "pods"}, (), True),
        ({"verb": "create", "resource": "configmaps"}, (), True),
    ],
    ids=["pods", "configmaps", "agents", "annotations", "create"],
)
def test_a_missing_right_halts_what_can_be_halted(fleet, denied, names, is_proven):
    fleet.put(a_pod())
    fleet.fail_next(status=403, times=None, **denied)
    selector = {"names": list(names)} if names else {}
    state = a_direct_halt(fleet, selector=selector).advance()
    assert mode(fleet) == "Halted"
    assert (state.unproven == ()) is is_proven


def test_a_missing_config_map_is_created_without_the_right_to_list_pods(fleet):
    fleet.delete("ConfigMap", NS, NAME)
    fleet.fail_next(status=403, times=None, verb="list", resource="pods")
    state = a_direct_halt(fleet).advance()
    assert mode(fleet) == "Halted"
    assert any("you may not list pods" in item for item in state.unproven)


def test_a_config_map_that_cannot_be_changed_is_unproven(fleet):
    fleet.put(a_pod())
    fleet.fail_next(
        status=422,
        message="is invalid: field is immutable",
        times=None,
        verb="patch",
        resource="configmaps",
    )
    state = a_direct_halt(fleet).advance()
    assert any("immutable" in item for item in state.unproven)
    assert mode(fleet) == "Active"


@pytest.mark.parametrize("content", ['{"mode":"Stopped","generation":0}', "", "not JSON"])
def test_an_operator_that_writes_meanwhile_is_read_again(fleet, content):
    fleet.put(a_pod())

    def write():
        found = fleet.get("ConfigMap", NS, NAME)
        fleet.put({**found, "data": {"control.json": content}})

    on(fleet, "patch", "configmaps", write)
    state = a_direct_halt(fleet).advance()
    assert state.unproven == ()
    assert mode(fleet) == ("Stopped" if "Stopped" in content else "Halted")


@pytest.mark.parametrize("form", [(), ("--output=json",)], ids=["text", "json"])
def test_a_reader_that_ends_does_not_end_the_halt(fleet, form):
    flags = ("--server", fleet.url, f"--namespace={NS}")
    process = subprocess.Popen(
        [PROGRAM, "halt", "--all", "--reason=test", "--timeout=1", *form, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 0
    assert mode(fleet) == "Halted"

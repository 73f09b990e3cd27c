"""PurpleFleaHalt with real agents: acknowledgement, resuming, admission, and the rights of users."""

import functools
import json
import os
import signal

import pytest

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting
from support.builders import a_halt
from support.pod_processes import pid_of

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMESPACE = "halts"
SYSTEM = installation.OPERATOR
HALTER, RESUMER, EDITOR = "hal", "rita", "eve"


@pytest.fixture(scope="module")
def fleet(sandbox):
    """Three agents that trade, and users with one role each."""
    namespace = sandbox.namespace(NAMESPACE)
    sandbox.apply_example(namespace, env="halts")
    sandbox.wait_ready(namespace)
    for user, role in (
        (HALTER, "purpleflea-halter"),
        (RESUMER, "purpleflea-resumer"),
        (EDITOR, "edit"),
    ):
        sandbox.tools.kubectl(
            *("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}"),
            f"--namespace={namespace}",
        )
    yield sandbox
    sandbox.tools.kubectl(
        "annotate", "pfh", "--all", "purpleflea.com/force-resume=true", "-n", namespace
    )
    sandbox.tools.kubectl("delete", "pfh", "--all", f"--namespace={namespace}")


@pytest.fixture(autouse=True)
def no_halt(fleet):
    yield
    for namespace in (NAMESPACE, SYSTEM):
        there = f"--namespace={namespace}"
        fleet.tools.kubectl("annotate", "pfh", "--all", "purpleflea.com/force-resume=true", there)
        fleet.tools.kubectl("delete", "pfh", "--all", there)
    wait_for(lambda: mode(fleet) == "Active", what="the agents resumed")
    fleet.wait_ready(NAMESPACE)


def manifest(name="incident", namespace=NAMESPACE, **spec):
    made = a_halt(name, namespace=namespace, **spec)
    metadata = {key: made["metadata"][key] for key in ("name", "namespace", "annotations")}
    return json.dumps({**made, "metadata": metadata})


def create(sandbox, *arguments, user="", verb="create", **spec):
    as_user = (f"--as={user}",) if user else ()
    return sandbox.tools.kubectl(verb, *as_user, *arguments, "--filename=-", stdin=manifest(**spec))


def halt(sandbox, name="incident", namespace=NAMESPACE):
    return sandbox.tools.get("pfh", name, f"--namespace={namespace}")


def conditions(sandbox, name="incident", namespace=NAMESPACE):
    found = halt(sandbox, name, namespace).get("status", {}).get("conditions", [])
    return {item["type"]: (item["status"], item["reason"]) for item in found}


def mode(sandbox):
    found = sandbox.conditions(NAMESPACE).get("TradingActive", {})
    return found.get("reason")


def is_drained(sandbox, **where):
    return lambda: conditions(sandbox, **where).get("Draining") == ("False", "Drained")


def delete(sandbox, name="incident", user="", namespace=NAMESPACE):
    as_user = (f"--as={user}",) if user else ()
    return sandbox.tools.kubectl("delete", "pfh", name, f"--namespace={namespace}", *as_user)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"reason": ""}, "spec.reason"),
        ({"reason": "  "}, "spec.reason"),
        ({"level": "Freeze"}, "spec.level"),
        ({"flatten": True}, "flatten needs level Stop"),
        ({"expiresAt": "tomorrow"}, "spec.expiresAt"),
        ({"selector": {"namespaces": ["a"]}}, "selector.namespaces needs scope Cluster"),
        ({"selector": {"scope": "Galaxy"}}, "spec.selector.scope"),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "need values"),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}, "operator"),
        ({"selector": None}, "spec.selector"),
        ({"selector": {"nmes": ["a"]}}, 'unknown field "spec.selector.nmes"'),
    ],
)
def test_the_api_server_rejects_an_invalid_halt_with_the_field(fleet, spec, message):
    with pytest.raises(DemoError) as error:
        create(fleet, "--dry-run=server", **spec)
    assert message in str(error.value)


def test_real_agents_acknowledge_a_halt_and_trade_again_after_it(fleet, figures):
    before = fleet.pods(NAMESPACE)
    create(fleet, user=HALTER, reason="prices are wrong")
    wait_for(is_drained(fleet), what="the agents drained")
    status = halt(fleet)["status"]
    assert (status["matched"], status["running"], status["acknowledged"]) == (1, 3, 3)
    assert status["drained"] == 3
    assert status["requestedBy"] == HALTER
    assert status["createdBy"] == "kubectl-create"
    # The status of the agent is written after that of the halt.
    wait_for(lambda: mode(fleet) == "Halted", what="the agent reports the halt")
    message = fleet.conditions(NAMESPACE)["TradingActive"]["message"]
    assert "PurpleFleaHalt halts/incident" in message
    assert "prices are wrong" in message
    shown = fleet.tools.kubectl("get", "pfh", f"--namespace={NAMESPACE}")
    assert "Halted" in shown
    with pytest.raises(DemoError, match="immutable"):
        create(fleet, verb="apply", level="Stop", reason="prices are wrong")
    delete(fleet, user=RESUMER)
    wait_for(lambda: mode(fleet) == "Active", what="the agents resumed")
    assert {name: item["metadata"]["uid"] for name, item in fleet.pods(NAMESPACE).items()} == {
        name: item["metadata"]["uid"] for name, item in before.items()
    }


def test_resuming_while_agents_drain_is_refused_by_name_unless_it_is_forced(fleet):
    name, pod = sorted(fleet.pods(NAMESPACE).items())[0]
    pid = pid_of(pod["metadata"]["uid"], "purpleflea_agent")
    os.kill(pid, signal.SIGSTOP)
    try:
        create(fleet)
        wait_for(
            lambda: halt(fleet).get("status", {}).get("acknowledged") == 2,
            what="the other agents' acknowledgements",
        )
        assert conditions(fleet)["Draining"] == ("True", "Draining")
        with pytest.raises(DemoError) as error:
            delete(fleet)
        assert "PurpleFleaHalt halts/incident cannot be deleted" in str(error.value)
        assert name in str(error.value)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(is_drained(fleet), what="the agents drained")
    delete(fleet)


def test_users_may_only_what_their_role_says(fleet):
    create(fleet, user=EDITOR)
    for user in (HALTER, EDITOR):
        assert "incident" in fleet.tools.kubectl(
            "get", "pfh", f"--namespace={NAMESPACE}", f"--as={user}"
        )
        with pytest.raises(DemoError, match="cannot delete resource"):
            delete(fleet, user=user)
        with pytest.raises(DemoError, match="cannot patch resource"):
            fleet.tools.kubectl(
                *("annotate", "pfh", "incident", "a=b", f"--namespace={NAMESPACE}"), f"--as={user}"
            )
    with pytest.raises(DemoError, match="cannot create resource"):
        create(fleet, user=RESUMER, name="other")
    wait_for(is_drained(fleet), what="the agents drained")
    delete(fleet, user=RESUMER)


def test_the_requester_cannot_be_forged_or_changed(fleet):
    forged = json.loads(manifest("forged"))
    forged["metadata"]["annotations"] = {"purpleflea.com/requested-by": "another-user"}
    with pytest.raises(DemoError, match="must be the user who creates"):
        fleet.tools.kubectl("create", "--filename=-", f"--as={HALTER}", stdin=json.dumps(forged))
    create(fleet, user=HALTER)
    found = halt(fleet)["metadata"]["annotations"]
    assert found["purpleflea.com/requested-by"] == HALTER
    with pytest.raises(DemoError, match="cannot be changed"):
        fleet.tools.kubectl(
            *("annotate", "--overwrite", "pfh", "incident", f"--namespace={NAMESPACE}"),
            "purpleflea.com/requested-by=another-user",
        )
    for _ in range(2):
        fleet.tools.kubectl(
            "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest()
        )
    assert halt(fleet)["metadata"]["annotations"] == found


def test_a_halt_of_the_whole_cluster_applies_only_in_the_namespace_of_the_operator(fleet):
    create(fleet, name="everything", namespace=SYSTEM, selector={"scope": "Cluster"})
    where = {"name": "everything", "namespace": SYSTEM}
    wait_for(is_drained(fleet, **where), what="the agents drained")
    assert conditions(fleet, **where)["Accepted"] == ("True", "Accepted")
    wait_for(lambda: mode(fleet) == "Halted", what="the mode of the agent reported")
    create(fleet, name="limited", selector={"scope": "Cluster"})
    wait_for(
        lambda: conditions(fleet, "limited").get("Accepted") == ("False", "ScopeLimited"),
        what="the limited scope",
    )


def test_a_stop_that_flattens_ends_the_pods_and_reports_what_is_left(fleet):
    create(fleet, level="Stop", flatten=True)
    wait_for(lambda: mode(fleet) in ("Stopped", "StoppedIncomplete"), what="the agents stopped")
    wait_for(lambda: fleet.pods(NAMESPACE) == {}, what="no pods")
    wait_for(is_drained(fleet), what="the halt drained")


@pytest.fixture
def no_operator(fleet):
    """Scale the operator to zero."""
    target = ("deployment/purpleflea-operator", f"--namespace={SYSTEM}")
    fleet.tools.kubectl("scale", *target, "--replicas=0")
    wait_for(lambda: fleet.pods(SYSTEM) == {}, what="the end of the operator")
    yield
    fleet.tools.kubectl("scale", *target, "--replicas=2")
    installation.wait_for(fleet.tools, SYSTEM, target[0])


def test_without_an_operator_a_draining_halt_blocks_neither_force_nor_its_namespace(
    fleet, no_operator
):
    namespace = fleet.namespace("halts-ending")
    condition = {"type": "Draining", "status": "True", "reason": "Draining", "message": "x"}
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    status = json.dumps({"status": {"conditions": [condition]}})
    for name in ("forced", "stuck"):
        create(fleet, namespace=namespace, name=name)
        fleet.tools.kubectl(
            *("patch", "pfh", name, f"--namespace={namespace}", "--subresource=status"),
            *("--type=merge", f"--patch={status}"),
        )
        with pytest.raises(DemoError, match="cannot be deleted"):
            delete(fleet, name, namespace=namespace)
    force = "purpleflea.com/force-resume=true"
    fleet.tools.kubectl("annotate", "pfh", "forced", f"--namespace={namespace}", force)
    delete(fleet, "forced", namespace=namespace)
    fleet.tools.kubectl("delete", "namespace", namespace, "--timeout=180s")

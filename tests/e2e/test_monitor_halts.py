"""Halts by a Datadog Workflow: the API server allows the runner exactly the halts of examples/monitor-halt."""

import functools
import json
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_sandbox.demo.errors import DemoError
from support import waiting

wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE, RUNNER_NAMESPACE = "trading", "datadog-runner"
RUNNER = f"system:serviceaccount:{RUNNER_NAMESPACE}:purpleflea-runner"
AGENT = "momentum"


@pytest.fixture(scope="module")
def rights(sandbox):
    sandbox.namespace(NAMESPACE)
    sandbox.namespace(RUNNER_NAMESPACE)
    sandbox.apply_example(NAMESPACE, env="monitor-halts")
    sandbox.wait_ready(NAMESPACE)
    text = (sandbox.checkout / "examples/monitor-halt/rights.yaml").read_text()
    sandbox.tools.kubectl("apply", "--filename=-", stdin=text)
    # The API server applies a new policy after a moment.
    wait_for(lambda: is_refused(sandbox, a_halt(name="probe")), what="the admission policy")
    yield sandbox
    there = f"--namespace={NAMESPACE}"
    sandbox.tools.kubectl("annotate", "pfh", "--all", "purpleflea.com/force-resume=true", there)
    sandbox.tools.kubectl("delete", "pfh,pfa", "--all", there)
    sandbox.tools.kubectl("delete", "--filename=-", stdin=text)


def a_halt(*, name=f"monitor-{AGENT}", hours=12.0, metadata=None, **spec):
    """Return the object that the script of workflow.tf builds."""
    end = datetime.now(UTC) + timedelta(hours=hours)
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaHalt",
        "metadata": {"name": name, "namespace": NAMESPACE, **(metadata or {})},
        "spec": {
            "level": "Halt",
            "reason": "Datadog monitor drawdown",
            "selector": {"names": [AGENT]},
            "expiresAt": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **spec,
        },
    }


def create(sandbox, halt, *arguments):
    return sandbox.tools.kubectl(
        "create", "--filename=-", f"--as={RUNNER}", *arguments, stdin=json.dumps(halt)
    )


def is_refused(sandbox, halt):
    try:
        create(sandbox, halt, "--dry-run=server")
    except DemoError as error:
        return "monitor- followed by" in str(error)
    return False


def halts(sandbox):
    items = sandbox.tools.get("pfh", f"--namespace={NAMESPACE}").get("items", [])
    return [item["metadata"]["name"] for item in items]


def without(halt, field):
    del halt["spec"][field]
    return halt


OWNER = {"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "x"}


@pytest.mark.parametrize(
    ("halt", "reason"),
    [
        (lambda: a_halt(level="Stop"), "may only halt agents"),
        (lambda: a_halt(level="Stop", flatten=True), "may only halt agents"),
        (lambda: a_halt(selector={}), "one agent"),
        (lambda: a_halt(selector={"names": [AGENT, "other"]}), "one agent"),
        (lambda: a_halt(selector={"matchLabels": {"desk": "fx"}}), "one agent"),
        (lambda: a_halt(selector={"names": [AGENT], "scope": "Cluster"}), "one agent"),
        (lambda: a_halt(name="incident"), "monitor- followed by"),
        (lambda: a_halt(name="monitor-other"), "monitor- followed by"),
        (lambda: a_halt(hours=24.2), "at most 24 hours"),
        (lambda: without(a_halt(), "expiresAt"), "expiresAt must be set"),
        (lambda: a_halt(metadata={"ownerReferences": [OWNER]}), "no owner"),
        (lambda: a_halt(metadata={"finalizers": ["example.com/x"]}), "no owner, no finalizer"),
        (
            lambda: a_halt(metadata={"annotations": {"purpleflea.com/requested-by": "admin"}}),
            "must be the user who creates",
        ),
    ],
)
def test_a_halt_that_the_policy_does_not_allow_is_refused(rights, halt, reason):
    with pytest.raises(DemoError, match=reason):
        create(rights, halt())
    assert halts(rights) == []


def test_a_dry_run_checks_everything_and_stores_nothing(rights):
    create(rights, a_halt(), "--dry-run=server")
    assert halts(rights) == []


def test_the_policy_restricts_no_other_user(rights):
    text = json.dumps(a_halt(name="by-hand", level="Stop"))
    rights.tools.kubectl("create", "--filename=-", "--dry-run=server", stdin=text)


def test_a_monitor_halts_its_agent_once_and_cannot_resume_it(rights):
    create(rights, a_halt())

    def reason():
        return rights.conditions(NAMESPACE).get("TradingActive", {}).get("reason")

    wait_for(lambda: reason() == "Halted", what="the agent halted")

    def status():
        halt = rights.tools.get("pfh", f"monitor-{AGENT}", f"--namespace={NAMESPACE}")
        return halt.get("status")

    # The status of the agent can be written first.
    assert wait_for(status, what="the status of the halt")["requestedBy"] in ("", RUNNER)
    # The same alert again, or another monitor of the agent.
    with pytest.raises(DemoError, match="already exists"):
        create(rights, a_halt(reason="Datadog monitor position-mismatch"))
    there, as_runner = f"--namespace={NAMESPACE}", f"--as={RUNNER}"
    for arguments in (
        ("get", "pfh"),
        ("delete", "pfh", f"monitor-{AGENT}"),
        ("annotate", "pfh", f"monitor-{AGENT}", "purpleflea.com/force-resume=true"),
        ("get", "pfa"),
        ("get", "pods"),
        ("get", "secrets"),
    ):
        with pytest.raises(DemoError, match=r"cannot|forbidden"):
            rights.tools.kubectl(*arguments, there, as_runner)
    other = a_halt(metadata={"namespace": RUNNER_NAMESPACE})
    with pytest.raises(DemoError, match="cannot create resource"):
        create(rights, other)

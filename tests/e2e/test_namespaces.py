"""A second installation that is bound to one namespace; the first installation is scaled to zero meanwhile."""

import functools

import pytest

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

RELEASE, HOME = "bound-operator", "bound-system"
USER = f"system:serviceaccount:{HOME}:{RELEASE}"
FIRST = ("deployment/purpleflea-operator", f"--namespace={installation.OPERATOR}")


@pytest.fixture(scope="module")
def first_is_stopped(sandbox):
    """Scale the first installation to zero, because two operators would reconcile the same agents."""
    sandbox.tools.kubectl("scale", *FIRST, "--replicas=0")
    wait_for(lambda: sandbox.pods(installation.OPERATOR) == {}, what="the first operator's end")
    yield
    sandbox.tools.kubectl("scale", *FIRST, "--replicas=2")
    installation.wait_for(sandbox.tools, installation.OPERATOR, FIRST[0])


@pytest.fixture(scope="module")
def bound(sandbox, first_is_stopped):
    """Install an operator bound to the first of two namespaces with one agent each.

    Yield both namespaces and the position in the audit log.
    """
    inside, outside = sandbox.namespace("bound-inside"), sandbox.namespace("bound-outside")
    installation.namespace(sandbox.tools, HOME)
    point = sandbox.audit.end()
    chart = sandbox.checkout / "charts" / "purpleflea-operator"
    values = (
        f"--set=watchNamespaces={{{inside}}}",
        f"--set=fullnameOverride={RELEASE}",
        # The CRDs exist already and belong to the first release.
        "--set=crds.install=false",
    )
    sandbox.tools.helm("upgrade", "--install", RELEASE, str(chart), f"--namespace={HOME}", *values)
    installation.wait_for(sandbox.tools, HOME, f"deployment/{RELEASE}")
    for namespace in (outside, inside):
        sandbox.apply_example(namespace)
    yield inside, outside, point
    for namespace in (outside, inside):
        sandbox.tools.kubectl("delete", "pfa/momentum", f"--namespace={namespace}")
    sandbox.tools.helm("uninstall", RELEASE, f"--namespace={HOME}", "--wait")


def is_ready(sandbox, namespace):
    return sandbox.conditions(namespace).get("Ready", {}).get("status") == "True"


def requests(sandbox, point):
    entries = sandbox.audit.entries(since=point, user=USER)
    return [entry for entry in entries if entry.resource]


def test_only_the_agent_in_the_bound_namespace_is_reconciled(sandbox, bound):
    inside, outside, _ = bound
    wait_for(lambda: is_ready(sandbox, inside), what="the agent inside Ready")
    sandbox.tools.kubectl("scale", "pfa/momentum", f"--namespace={inside}", "--replicas=4")
    wait_for(lambda: len(sandbox.pods(inside)) == 4, what="a fourth identity")
    # The condition with which the CRD creates each agent.
    waiting = {name: item["reason"] for name, item in sandbox.conditions(outside).items()}
    assert waiting == {"Ready": "WaitingForOperator"}
    children = sandbox.tools.get("statefulsets,configmaps", f"--namespace={outside}").get(
        "items", []
    )
    assert [item["metadata"]["name"] for item in children] == ["kube-root-ca.crt"]


def test_objects_outside_the_namespace_are_reported_as_unknown(sandbox, bound):
    inside, _, _ = bound
    wait_for(lambda: is_ready(sandbox, inside), what="the agent inside Ready")
    conditions = sandbox.conditions(inside)
    assert conditions["DatadogInstalled"]["status"] == "Unknown"
    assert "bound to namespaces" in conditions["DatadogInstalled"]["message"]


def test_it_requests_nothing_outside_and_is_never_denied(sandbox, bound):
    inside, _, point = bound
    wait_for(lambda: is_ready(sandbox, inside), what="the agent inside Ready")
    entries = requests(sandbox, point)
    used = {(entry.resource, entry.namespace) for entry in entries}
    # The halts of the whole cluster are in the operator's own namespace.
    assert {item for item in used if item[1] != inside} == {("leases", HOME), (HALTS, HOME)}
    assert (HALTS, inside) in used
    assert [entry for entry in entries if entry.is_denied] == []
    kinds = "clusterroles,clusterrolebindings"
    items = sandbox.tools.get(kinds).get("items", [])
    assert [item for item in items if item["metadata"]["name"].startswith(RELEASE)] == []


HALTS = "purplefleahalts"
OBSERVABILITY = """
apiVersion: purpleflea.com/v1alpha1
kind: PurpleFleaObservability
metadata:
  name: left
  finalizers: [purpleflea.com/datadog]
spec:
  keysSecretRef: {name: missing}
  mode: Plan
"""


def test_uninstalling_is_refused_with_the_command_while_a_finalizer_is_left(sandbox, bound):
    inside, _, _ = bound
    place = f"--namespace={inside}"
    sandbox.tools.kubectl("apply", place, "--filename=-", stdin=OBSERVABILITY)
    with pytest.raises(DemoError):
        sandbox.tools.helm("uninstall", RELEASE, f"--namespace={HOME}")
    log = sandbox.tools.kubectl("logs", f"job/{RELEASE}-uninstall", f"--namespace={HOME}")
    assert f"kubectl delete purplefleaobservability left --namespace {inside}" in log
    installation.wait_for(sandbox.tools, HOME, f"deployment/{RELEASE}")
    # The command of docs/uninstall.md.
    patch = '--patch={"metadata":{"finalizers":null}}'
    name = "purplefleaobservability/left"
    sandbox.tools.kubectl("patch", name, place, "--type=merge", patch)
    sandbox.tools.kubectl("delete", name, place, "--timeout=180s")

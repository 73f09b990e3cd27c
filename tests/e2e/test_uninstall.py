"""Uninstalling and installing again: the objects that stay, another namespace, and journals that are backed up."""

import contextlib
import functools
import json
import os
import sqlite3
import subprocess

import pytest

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting

wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
NAMESPACE, HOME, RELEASE = "uninstalled", "purpleflea-moved", "purpleflea-operator"
CLUSTER_KINDS = (
    "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,"
    "mutatingadmissionpolicies,mutatingadmissionpolicybindings,customresourcedefinitions"
)
KINDS = (
    "deployments,services,serviceaccounts,configmaps,secrets,roles,rolebindings,leases,networkpolicies,"
    "poddisruptionbudgets,jobs,pods"
)
CRDS = {
    f"customresourcedefinition/{name}.purpleflea.com"
    for name in ("purplefleaagents", "purplefleahalts", "purplefleaobservabilities")
}


def helm(sandbox, *arguments, namespace=HOME):
    return sandbox.tools.helm(*arguments, f"--namespace={namespace}")


def kubectl(sandbox, *arguments, namespace=NAMESPACE, stdin=None):
    return sandbox.tools.kubectl(*arguments, f"--namespace={namespace}", stdin=stdin)


def names(items):
    return {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in items}


def left(sandbox, namespace):
    """Return the objects of the release in the cluster, and the objects in its namespace."""
    served = [
        kind
        for kind in CLUSTER_KINDS.split(",")
        if kind in sandbox.tools.kubectl("api-resources", "--namespaced=false", "--output=name")
    ]
    cluster = names(sandbox.tools.get(",".join(served)).get("items", []))
    there = names(sandbox.tools.get(KINDS, f"--namespace={namespace}").get("items", []))
    of_kubernetes = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    return {name for name in cluster if "purpleflea" in name} | (there - of_kubernetes)


def pods(sandbox):
    return {
        name: (pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"])
        for name, pod in sandbox.pods(NAMESPACE).items()
    }


def wait_for_rest(sandbox, namespace, expected):
    """Wait until only these objects are left. The garbage collector removes the pods of hooks later."""
    rest = lambda: left(sandbox, namespace)  # noqa: E731
    wait_for(lambda: rest() == expected, what=f"only {sorted(expected)} left in {namespace}")


def stopped(sandbox):
    sandbox.tools.kubectl(
        "scale", f"deployment/{RELEASE}", "--replicas=0", f"--namespace={installation.OPERATOR}"
    )
    wait_for(lambda: sandbox.pods(installation.OPERATOR) == {}, what="the end of the operator")


@pytest.fixture(scope="module")
def chart(sandbox):
    """Return the path of the chart. Afterwards, the operator is installed in its usual namespace."""
    path = sandbox.checkout / "charts" / "purpleflea-operator"
    yield path
    sandbox.tools.kubectl("delete", f"namespace/{HOME}", "--ignore-not-found", "--timeout=180s")
    helm(
        sandbox,
        *("upgrade", "--install", RELEASE, str(path), "--take-ownership"),
        namespace=installation.OPERATOR,
    )
    installation.wait_for(sandbox.tools, installation.OPERATOR, f"deployment/{RELEASE}")
    wait_for(sandbox.leader, what="a leader")


@pytest.fixture(scope="module")
def running(sandbox, chart):
    """Start an agent under the operator in its usual namespace, and return its pods."""
    sandbox.namespace(NAMESPACE)
    sandbox.apply_example(NAMESPACE, env=NAMESPACE)
    kubectl(sandbox, "scale", "pfa/momentum", "--replicas=1")
    wait_for(lambda: set(sandbox.pods(NAMESPACE)) == {"momentum-0"}, what="one pod")
    sandbox.wait_ready(NAMESPACE)
    return pods(sandbox)


def mode_is(sandbox, mode, status):
    sandbox.patch(NAMESPACE, "momentum", json.dumps({"spec": {"trading": {"mode": mode}}}))

    def is_served():
        agent = sandbox.agent(NAMESPACE)
        is_current = agent["status"]["observedGeneration"] == agent["metadata"]["generation"]
        return is_current and sandbox.conditions(NAMESPACE)["TradingActive"]["status"] == status

    wait_for(is_served, what=f"the mode {mode} is served")


def test_uninstalling_the_operator_first_leaves_the_crds_and_running_agents(
    sandbox, chart, running
):
    # Requests of an operator whose role is being deleted would be denied, and test_rights counts these.
    stopped(sandbox)
    helm(sandbox, "uninstall", RELEASE, namespace=installation.OPERATOR)
    wait_for_rest(sandbox, installation.OPERATOR, CRDS | {f"lease/{RELEASE}"})
    assert pods(sandbox) == running
    assert sandbox.agent(NAMESPACE)["spec"]["replicas"] == 1


def test_the_chart_is_installed_again_in_another_namespace_and_no_agent_restarts(
    sandbox, chart, running
):
    installation.namespace(sandbox.tools, HOME)
    # The remaining CRDs belong to the release of the former namespace (docs/uninstall.md).
    with pytest.raises(DemoError, match="invalid ownership metadata"):
        helm(sandbox, "install", RELEASE, str(chart))
    helm(sandbox, "install", RELEASE, str(chart), "--take-ownership")
    installation.wait_for(sandbox.tools, HOME, f"deployment/{RELEASE}")
    mode_is(sandbox, "Halted", "False")
    mode_is(sandbox, "Active", "True")
    assert pods(sandbox) == running


def journal(sandbox, *arguments):
    """Run the script of docs/backup.md."""
    program = sandbox.tools.kubectl_program
    command = f"{program} --kubeconfig={sandbox.tools.kubeconfig} --namespace={NAMESPACE}"
    script = sandbox.checkout / "examples" / "backup" / "journal.sh"
    return subprocess.run(
        [script, *arguments],
        env={**os.environ, "KUBECTL": command},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def contents(file):
    with contextlib.closing(sqlite3.connect(file)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (orders,) = database.execute("SELECT count(*) FROM orders").fetchone()
    return version, orders


def test_a_journal_is_backed_up_and_restored(sandbox, running, tmp_path):
    file, damaged = tmp_path / "momentum-0.sqlite3", tmp_path / "damaged"
    refused = journal(sandbox, "backup", "momentum", "0", str(file))
    assert "pod momentum-0 is running" in refused.stderr
    mode_is(sandbox, "Stopped", "False")
    wait_for(lambda: sandbox.pods(NAMESPACE) == {}, what="no pod")
    done = journal(sandbox, "backup", "momentum", "0", str(file))
    assert done.returncode == 0, done.stderr
    version, orders = contents(file)
    assert version > 0
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE restored (mark TEXT)")
        assert (
            "its write-ahead log exists"
            in journal(sandbox, "restore", "momentum", "0", str(file)).stderr
        )
    damaged.write_bytes(b"not a journal" * 1000)
    assert journal(sandbox, "restore", "momentum", "0", str(damaged)).returncode == 1
    done = journal(sandbox, "restore", "momentum", "0", str(file))
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again"
    assert journal(sandbox, "backup", "momentum", "0", str(again)).returncode == 0
    assert contents(again) == (version, orders)
    with contextlib.closing(sqlite3.connect(again)) as database:
        assert database.execute("SELECT * FROM restored").fetchall() == []
    mode_is(sandbox, "Active", "True")
    sandbox.wait_ready(NAMESPACE)


def test_deleting_agents_and_crds_first_leaves_only_the_journals(sandbox, chart, running):
    kubectl(sandbox, "delete", "pfa/momentum")
    children = "statefulsets,configmaps,networkpolicies,poddisruptionbudgets,pods"

    def remaining():
        found = names(sandbox.tools.get(children, f"--namespace={NAMESPACE}").get("items", []))
        return found - {"configmap/kube-root-ca.crt"}

    wait_for(lambda: remaining() == set(), what="no child of the agent")
    helm(sandbox, "uninstall", RELEASE)
    wait_for(lambda: sandbox.pods(HOME) == {}, what="the end of the operator")
    wait_for_rest(sandbox, HOME, CRDS | {f"lease/{RELEASE}"})
    sandbox.tools.kubectl("delete", *CRDS, "--timeout=180s")
    wait_for_rest(sandbox, HOME, {f"lease/{RELEASE}"})
    claims = sandbox.tools.get("persistentvolumeclaims", f"--namespace={NAMESPACE}")["items"]
    assert {"state-momentum-0"} <= {item["metadata"]["name"] for item in claims}

"""`kubectl purpleflea render` against a running operator: it shows exactly what the operator applies afterwards."""

import json
import re
import stat
import subprocess
import sys

import pytest
import yaml

from support.apiserver.kinds import Kind
from support.builders import a_datadog_daemon_set, a_halt, an_agent
from support.plugin import Plugin, kubectl  # noqa: F401 - a fixture

NS, NAME, SYSTEM = "trading", "momentum", "purpleflea-system"
pytestmark = pytest.mark.timeout(120)
FORWARD = """#!{python}
import os, sys, time
if "port-forward" in sys.argv:
    print("Forwarding from 127.0.0.1:{port} -> 8080", flush=True)
    time.sleep(600)
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


@pytest.fixture
def forwarding(kubectl, port, tmp_path, monkeypatch):  # noqa: F811
    """A kubectl whose port-forward reaches the operator of the test, which has no pod."""
    program = tmp_path / "kubectl-with-forward"
    content = FORWARD.format(python=sys.executable, port=port, program=str(kubectl))
    program.write_text(content, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PURPLEFLEA_KUBECTL", str(program))


@pytest.fixture
def fleet(server):
    server.register(Kind(group="apps", plural="deployments", kind="Deployment", status=True))
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "purpleflea-operator",
                "namespace": SYSTEM,
                "labels": {"app.kubernetes.io/name": "purpleflea-operator"},
            },
            "spec": {},
        }
    )
    return server


@pytest.fixture
def start(fleet, an_operator, port):
    """Start an operator that leads, with the Lease of the chart."""
    return lambda **settings: an_operator(health_port=port, lease_namespace=SYSTEM, **settings)


@pytest.fixture
def render(fleet, forwarding, tmp_path):
    """Run `render` with manifests in a file."""
    plugin = Plugin("--server", fleet.url, "--namespace", NS)

    def run(*manifests, flags=()):
        path = tmp_path / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
        return plugin.run("render", "-f", str(path), *flags)

    return run


def manifest(name=NAME, **spec):
    """Return an agent as a user writes it."""
    found = an_agent(name, **spec)
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": name, "namespace": NS},
        "spec": found["spec"],
    }


def leads(server):
    return any(
        item["spec"].get("holderIdentity") for item in server.objects("Lease") if item["spec"]
    )


def condition(server, kind="Ready", name=NAME):
    found = server.get("PurpleFleaAgent", NS, name) or {}
    conditions = found.get("status", {}).get("conditions", [])
    return next((item["reason"] for item in conditions if item["type"] == kind), None)


def is_settled(server, name=NAME):
    agent = server.get("PurpleFleaAgent", NS, name)
    is_seen = agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"]
    return is_seen and condition(server, name=name) in ("Ready", "Halted", "Stopped")


def create(server, manifest, uid):
    """Create an agent with a UID."""
    server.put({**manifest, "metadata": {**manifest["metadata"], "uid": uid}})


@pytest.fixture
def apply(fleet, kubectl):  # noqa: F811
    """Apply a manifest as a user does."""
    argv = [kubectl, "--server", fleet.url, "apply", "--filename=-"]
    return lambda manifest: subprocess.run(
        argv, input=json.dumps(manifest), text=True, check=True, capture_output=True
    )


def shown(done):
    """Return the manifests in the output, by kind and name."""
    found = [item for item in yaml.safe_load_all(done.stdout) if item]
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def first_writes(requests):
    """Return the body of the first write of each child. An apply also names the object that it changes."""
    found = {}
    for request in requests:
        if request.verb in ("create", "patch") and request.resource in CHILDREN:
            body = request.body
            if "kind" not in body:
                continue  # The ownership of fields is converted before an apply that removes some.
            for name in ("uid", "resourceVersion"):
                body["metadata"].pop(name, None)
            found.setdefault((body["kind"], body["metadata"]["name"]), body)
    return found


CHILDREN = (
    *("configmaps", "networkpolicies", "poddisruptionbudgets", "serviceaccounts", "statefulsets"),
)
NEW = {
    "volumes": {
        "replicas": 3,
        "storage": {"size": "1Gi"},
        "pod": {"serviceAccount": {"annotations": {"a.example/role": "trader"}}},
    },
    "open": {"network": {"policy": "None"}, "trading": {"mode": "Halted"}},
    "variables": {
        "pod": {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        "datadog": {"connection": "Disabled"},
    },
}
CHANGES = {
    "volumes": {"replicas": 1, "storage": {"size": "1Gi"}},
    "open": {"strategy": "breakout"},
    "variables": {"pod": {"env": [{"name": "B", "value": "3"}]}, "network": {"policy": "None"}},
}
DELETED = {
    "volumes": {f"ServiceAccount/{NS}/volumes", f"PodDisruptionBudget/{NS}/volumes"},
    "open": set(),
    "variables": {f"NetworkPolicy/{NS}/variables"},
}


def test_the_rendered_objects_of_a_new_agent_are_those_that_the_operator_creates(
    fleet, render, start
):
    with start():
        fleet.wait_until(lambda: leads(fleet))
        for name, spec in NEW.items():
            wanted = manifest(name, **spec)
            done = render(wanted, flags=["--no-diff"])
            assert done.exit_code == 0, done.output
            rendered = shown(done)
            assert fleet.get("PurpleFleaAgent", NS, name) is None
            owner = rendered["StatefulSet", name]["metadata"]["ownerReferences"][0]
            before = len(fleet.requests())
            create(fleet, wanted, owner["uid"])
            fleet.wait_until(lambda name=name: is_settled(fleet, name))
            assert first_writes(fleet.requests()[before:]) == rendered, name
            done = render(wanted)
            assert (done.exit_code, done.output) == (0, ""), name


def test_the_rendered_objects_of_a_changed_agent_are_those_that_the_operator_applies(
    fleet, render, start, apply
):
    with start():
        fleet.wait_until(lambda: leads(fleet))
        for name, spec in NEW.items():
            apply(manifest(name, **spec))
        for name in NEW:
            fleet.wait_until(lambda name=name: is_settled(fleet, name))
        for name, spec in CHANGES.items():
            wanted = manifest(name, **spec)
            rendered = shown(render(wanted, flags=["--no-diff"]))
            done = render(wanted)
            assert done.exit_code == 1, done.output
            before = len(fleet.requests())
            apply(wanted)
            fleet.wait_until(lambda name=name: is_settled(fleet, name))
            requests = fleet.requests()[before:]
            written = first_writes(requests)
            assert written == {key: rendered[key] for key in written}, name
            kept = {f"{kind}/{NS}/{child}" for kind, child in written}
            headers = [line for line in done.stdout.splitlines() if line.startswith("+++ ")]
            assert {line.removeprefix("+++ rendered/") for line in headers} == kept | DELETED[
                name
            ], name
    assert re.search(r"^- +- name: A$", done.stdout, re.MULTILINE)


def test_the_diff_has_only_fields_of_the_operator(fleet, render, start):
    with start():
        fleet.wait_until(lambda: leads(fleet))
        create(fleet, manifest(), "uid")
        fleet.wait_until(lambda: is_settled(fleet))
        live = fleet.get("StatefulSet", NS, NAME)
        live["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
        live["metadata"]["annotations"]["other.example/owner"] = "me"
        fleet.put(live)
        fleet.put(a_halt("incident"))
        fleet.wait_until(lambda: condition(fleet, "TradingActive") == "Halted")
        done = render(manifest())
        assert (done.exit_code, done.stdout) == (0, "")
        assert "the mode is Halted and not Active, because of trading/incident" in done.stderr
        done = render(manifest(replicas=2))
    assert done.exit_code == 1
    changed = [line for line in done.stdout.splitlines() if line[:1] in "+-" and line[3:4] == " "]
    assert "-  replicas: 1" in done.stdout
    assert "+  replicas: 2" in done.stdout
    assert not [line for line in changed if "dnsPolicy" in line or "other.example" in line]


def test_several_documents_are_rendered_and_other_kinds_are_named(fleet, render, start):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}}
    broken = manifest("broken", api={})
    with start():
        fleet.wait_until(lambda: leads(fleet))
        listed = {"kind": "List", "items": [manifest("a"), manifest("b")]}
        done = render(secret, listed, flags=["--output=json"])
        assert done.exit_code == 0, done.output
        names = [item["metadata"]["name"] for item in json.loads(done.stdout)["items"]]
        assert {"a", "b"} == set(names)
        assert "Secret key is not rendered" in done.stderr
        done = render(broken, manifest("c"))
        assert done.exit_code == 2
        assert "error: PurpleFleaAgent broken: spec.api" in done.stderr
        assert f"+++ rendered/StatefulSet/{NS}/c" in done.stdout
        # An object of another owner is not changed.
        fleet.put(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d", "namespace": NS}}
        )
        done = render(manifest("d"))
        assert (done.exit_code, "ConfigMap/trading/d: the object exists" in done.stderr) == (
            1,
            True,
        )


def test_no_difference_is_reported_without_an_answer(fleet, render, start, monkeypatch):
    done = render({"kind": "Secret", "metadata": {"name": "key"}})
    assert (done.exit_code, "the file has no PurpleFleaAgent" in done.stderr) == (2, True)
    done = render(manifest())
    assert (done.exit_code, "no replica of the operator leads" in done.stderr) == (2, True)
    with start():
        fleet.wait_until(lambda: leads(fleet))
        fleet.fail_next(status=403, verb="create", resource="purplefleaagents")
        done = render(manifest())
        assert (done.exit_code, "Forbidden" in done.stderr) == (2, True)
    # The Lease is released.
    done = render(manifest())
    assert (done.exit_code, "no replica of the operator leads" in done.stderr) == (2, True)
    done = render(manifest(), flags=["--operator-namespace=elsewhere"])
    assert (done.exit_code, "no operator watches namespace trading" in done.stderr) == (2, True)
    assert done.stdout == ""


def test_the_objects_without_a_cluster_are_those_of_a_cluster_without_node_agents(
    fleet, render, start
):
    fleet.delete("DaemonSet", "datadog", "datadog-agent")
    wanted = manifest(replicas=2, trading={"mode": "Halted"})
    with start():
        fleet.wait_until(lambda: leads(fleet))
        online = render(wanted, flags=("--output=json",))
    offline = render(wanted, flags=("--output=json", "--offline"))
    assert (online.exit_code, offline.exit_code) == (0, 0), online.output + offline.output
    uid = json.loads(online.stdout)["items"][0]["metadata"]["ownerReferences"][0]["uid"]
    hashes = r'"purpleflea.com/[a-z-]*hash": "[0-9a-f]+"'
    shown = [re.sub(hashes, "", text) for text in (online.stdout, offline.stdout)]
    assert shown[0].replace(uid, "00000000-0000-0000-0000-000000000000") == shown[1]

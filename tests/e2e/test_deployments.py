"""Every version on the cluster creates one deployment in Datadog; examples/ci rolls out with real kubectl."""

import functools
import json
import os
import urllib.request
from pathlib import Path

import pytest
import yaml

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.definitions import DATADOG_URL
from support import waiting
from support.desired_objects import MONITORS
from support.workflow import Runner, Workflow

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMESPACE, SECRET, ENV = "released", "datadog-keys", "e2e-released"
IMAGE = "localhost/purpleflea-agent"


@pytest.fixture(scope="module")
def fleet(sandbox):
    """Create an agent with two replicas and a PurpleFleaObservability."""
    sandbox.namespace(NAMESPACE)
    sandbox.tools.kubectl(
        "create", "secret", "generic", SECRET, f"--namespace={NAMESPACE}",
        f"--from-literal=api-key={sandbox.keys.datadog_key}", "--from-literal=app-key=any",
    )  # fmt: skip
    sandbox.tools.helm(
        "upgrade", "purpleflea-operator", str(sandbox.checkout / "charts/purpleflea-operator"),
        f"--namespace={installation.OPERATOR}", "--reuse-values",
        f"--set=observability.secrets[0].namespace={NAMESPACE}",
        f"--set=observability.secrets[0].name={SECRET}",
        f"--set=observability.urls[0]={DATADOG_URL}",
    )  # fmt: skip
    agent = yaml.safe_load((sandbox.checkout / "examples/momentum.yaml").read_text())
    agent["metadata"]["namespace"] = NAMESPACE
    agent["spec"] |= {"replicas": 2, "image": {"repository": IMAGE, "tag": "0.1.0"}}
    agent["spec"].setdefault("pod", {})["minReadySeconds"] = 0
    agent["spec"]["datadog"] = {"env": ENV, "service": "purpleflea-trading-agent"}
    sandbox.tools.apply(agent, an_observability())
    yield sandbox
    sandbox.tools.kubectl("delete", "pfo,pfa", "--all", f"--namespace={NAMESPACE}")


def an_observability():
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaObservability",
        "metadata": {"name": "fleet", "namespace": NAMESPACE},
        "spec": {
            "keysSecretRef": {"name": SECRET},
            "url": DATADOG_URL,
            "allowInsecureUrl": True,
            "env": ENV,
        },
    }


def received(sandbox, path):
    with urllib.request.urlopen(
        f"{sandbox.observer.intake}/received/{path}", timeout=10
    ) as response:
        return json.load(response)[path]


def versions(sandbox):
    return [item["version"] for item in received(sandbox, "deployments") if item["env"] == ENV]


def titles(sandbox):
    return [
        event["title"]
        for event in received(sandbox, "events")
        if f"env:{ENV}" in (event.get("tags") or ())
    ]


def marks(sandbox):
    resource = sandbox.tools.get("pfo", "fleet", f"--namespace={NAMESPACE}")
    deployments = resource.get("status", {}).get("deployments") or ()
    return [(mark["version"], mark["state"]) for mark in deployments]


def test_each_version_is_marked_once_not_once_per_pod(fleet):
    wait_for(lambda: ("0.1.0", "Marked") in marks(fleet), what="the mark of 0.1.0")
    fleet.patch(NAMESPACE, "momentum", '{"spec": {"datadog": {"version": "0.2.0"}}}')
    wait_for(lambda: ("0.2.0", "Marked") in marks(fleet), what="the mark of 0.2.0")

    assert versions(fleet) == ["0.1.0", "0.2.0"]
    assert len(titles(fleet)) == 2


def test_the_workflow_rolls_out_and_waits_with_real_kubectl(fleet, tmp_path):
    workflow = Workflow(
        fleet.checkout / "examples/ci/agent-ci.yml",
        {"secrets.KUBECONFIG": fleet.tools.kubeconfig.read_text(), "github.sha": "0.1.0"},
    )
    machine = {
        "PATH": f"{fleet.tools.kubectl_program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    (tmp_path / ".github-env").write_text(f"NAMESPACE={NAMESPACE}\n")
    runner = Runner(workflow, "deploy", tmp_path, machine)
    done = runner.run("Roll out")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "STARTED_AT=" in Path(tmp_path, ".github-env").read_text()
    assert done.stdout.count("condition met") == 2


def test_deleting_the_resource_deletes_its_monitors(fleet):
    def monitors():
        request = urllib.request.Request(
            f"{fleet.observer.intake}/api/v1/monitor?monitor_tags=env:{ENV}",
            headers={"DD-API-KEY": fleet.keys.datadog_key, "DD-APPLICATION-KEY": "any"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    wait_for(lambda: len(monitors()) == MONITORS, what="all monitors")
    fleet.tools.kubectl("delete", "pfo", "fleet", f"--namespace={NAMESPACE}", "--timeout=180s")

    assert monitors() == []

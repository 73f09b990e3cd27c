"""The custom agent example: its image is built on the agent image, and the operator runs it like any other agent."""

import functools
import json
import subprocess
import urllib.request

import pytest
import yaml

from purpleflea_contract import metrics, spans
from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.images import build
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

IMAGE = "custom-agent"
POD = "custom-0"
TERMINATION_STATE = (
    'jsonpath={.metadata.uid} {.status.containerStatuses[0].state.terminated}{"\\n"}'
)
READ_CONTROL = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/v1/control').read().decode())"


@pytest.fixture(scope="module")
def namespace(sandbox):
    """Apply the example with a local image reference; return its namespace."""
    archives = build.ensure([IMAGE], TerminalProgress())
    sandbox.provider.load_images(tuple(archives.values()), TerminalProgress())
    name = sandbox.namespace("custom")
    text = (sandbox.checkout / "examples" / IMAGE / "custom-agent.yaml").read_text()
    manifest = yaml.safe_load(text)
    repository, _, tag = build.references([IMAGE])[IMAGE].rpartition(":")
    manifest["spec"]["image"] = {"repository": repository, "tag": tag}
    manifest["metadata"]["namespace"] = name
    sandbox.tools.apply(manifest)
    sandbox.wait_ready(name, "custom")
    return name


def received(sandbox, path):
    with urllib.request.urlopen(
        f"{sandbox.observer.intake}/received/{path}", timeout=10
    ) as response:
        return json.load(response)


def acknowledged(sandbox, namespace):
    inside = ("exec", POD, f"--namespace={namespace}", "--", "python", "-c", READ_CONTROL)
    return Acknowledgement.model_validate_json(sandbox.tools.kubectl(*inside))


def test_the_custom_image_is_running(sandbox, namespace):
    pod = sandbox.pods(namespace)[POD]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == build.references([IMAGE])[IMAGE]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_metrics_traces_and_logs_arrive_with_the_tags_of_the_agent(sandbox, namespace):
    tag = f"tag=agent_id:{POD}"
    series = wait_for(
        lambda: received(sandbox, f"metrics?name={metrics.HEARTBEAT.name}&{tag}")["series"]
    )
    tags = dict(tag.split(":", 1) for tag in series[0]["tags"])
    assert (tags["strategy"], tags["version"]) == ("momentum", "1.0.0")
    wait_for(lambda: received(sandbox, f"traces?name={spans.SIGNAL_COMPUTE.name}&{tag}")["traces"])
    line = f"logs?attribute=event_type:signal_generated&attribute=agent_id:{POD}"
    wait_for(lambda: received(sandbox, line)["logs"])


def test_the_agent_acknowledges_a_halt_without_a_restart(sandbox, namespace):
    before = sandbox.pods(namespace)[POD]["metadata"]["uid"]
    sandbox.patch(namespace, "custom", '{"spec":{"trading":{"mode":"Halted"}}}')
    halted = wait_for(
        lambda: (answer := acknowledged(sandbox, namespace)).mode is Mode.HALTED and answer
    )
    assert halted.at_rest
    sandbox.patch(namespace, "custom", '{"spec":{"trading":{"mode":"Active"}}}')
    wait_for(lambda: acknowledged(sandbox, namespace).mode is Mode.ACTIVE)
    assert sandbox.pods(namespace)[POD]["metadata"]["uid"] == before


def test_the_agent_exits_on_sigterm(sandbox, namespace):
    before = sandbox.pods(namespace)[POD]["metadata"]["uid"]
    with subprocess.Popen(
        [
            *(str(sandbox.tools.kubectl_program), f"--kubeconfig={sandbox.tools.kubeconfig}"),
            *(
                "get",
                "pod",
                POD,
                f"--namespace={namespace}",
                "--watch",
                f"--output={TERMINATION_STATE}",
            ),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            assert before in watching.stdout.readline()
            sandbox.tools.kubectl("delete", "pod", POD, f"--namespace={namespace}", "--wait=false")
            ends = (line.split(" ", 1) for line in watching.stdout)
            ended = next(json.loads(end) for uid, end in ends if uid == before and end.strip())
        finally:
            watching.kill()
    # 137 would be SIGKILL, at the end of the grace period.
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    sandbox.wait_ready(namespace, "custom")

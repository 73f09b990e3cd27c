"""The example of an agent of one's own: its image is built on ours, and the operator runs it like any other."""

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

# Each look at the cluster is a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=30)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

IMAGE = "custom-agent"
POD = "custom-0"
HOW_IT_ENDED = 'jsonpath={.metadata.uid} {.status.containerStatuses[0].state.terminated}{"\\n"}'
ASKS_ITSELF = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/v1/control').read().decode())"


@pytest.fixture(scope="module")
def namespace(sandbox):
    """The example, applied as it is save for the address of its image."""
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
    inside = ("exec", POD, f"--namespace={namespace}", "--", "python", "-c", ASKS_ITSELF)
    return Acknowledgement.model_validate_json(sandbox.tools.kubectl(*inside))


def test_the_image_of_ones_own_is_the_one_that_runs(sandbox, namespace):
    pod = sandbox.pods(namespace)[POD]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == build.references([IMAGE])[IMAGE]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_its_metrics_traces_and_logs_arrive_under_its_identity(sandbox, namespace):
    of_it = f"tag=agent_id:{POD}"
    series = wait_for(
        lambda: received(sandbox, f"metrics?name={metrics.HEARTBEAT.name}&{of_it}")["series"]
    )
    tags = dict(tag.split(":", 1) for tag in series[0]["tags"])
    assert (tags["strategy"], tags["version"]) == ("momentum", "1.0.0")
    wait_for(
        lambda: received(sandbox, f"traces?name={spans.SIGNAL_COMPUTE.name}&{of_it}")["traces"]
    )
    line = f"logs?attribute=event_type:signal_generated&attribute=agent_id:{POD}"
    wait_for(lambda: received(sandbox, line)["logs"])


def test_it_acknowledges_a_halt_and_restarts_for_none(sandbox, namespace):
    before = sandbox.pods(namespace)[POD]["metadata"]["uid"]
    sandbox.patch(namespace, "custom", '{"spec":{"trading":{"mode":"Halted"}}}')
    halted = wait_for(
        lambda: (told := acknowledged(sandbox, namespace)).mode is Mode.HALTED and told
    )
    assert halted.at_rest
    sandbox.patch(namespace, "custom", '{"spec":{"trading":{"mode":"Active"}}}')
    wait_for(lambda: acknowledged(sandbox, namespace).mode is Mode.ACTIVE)
    assert sandbox.pods(namespace)[POD]["metadata"]["uid"] == before


def test_it_ends_by_itself_when_it_is_told_to(sandbox, namespace):
    before = sandbox.pods(namespace)[POD]["metadata"]["uid"]
    with subprocess.Popen(
        [
            *(str(sandbox.tools.kubectl_program), f"--kubeconfig={sandbox.tools.kubeconfig}"),
            *("get", "pod", POD, f"--namespace={namespace}", "--watch", f"--output={HOW_IT_ENDED}"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            assert before in watching.stdout.readline()
            sandbox.tools.kubectl("delete", "pod", POD, f"--namespace={namespace}", "--wait=false")
            ends = (line.split(" ", 1) for line in watching.stdout)
            ended = next(json.loads(how) for uid, how in ends if uid == before and how.strip())
        finally:
            watching.kill()
    # 137 would be SIGKILL, at the end of the grace period.
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    sandbox.wait_ready(namespace, "custom")

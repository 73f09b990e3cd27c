"""The kubectl commands of all pages, run as they are written, against the real API server.

A kubectl before the real one on the path adds `--dry-run=server` to commands that change something, so the sequence of
the pages does not matter, and the API server still checks each change with its admission.
"""

import html
import json
import os
import re
import signal
import subprocess

import pytest
from website import recording

from support.documentation import Block, all_blocks, commands
from support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMESPACE = "trading"
TUTORIAL = "docs/tutorial.md"
BLOCKS = [
    block
    for block in all_blocks("sh")
    if block.page != TUTORIAL
    and block.mark is None
    and any(words[0] == "kubectl" for words in commands(block.text))
    and not any(words[:2] == ["kubectl", "purpleflea"] for words in commands(block.text))
]
WRAPPER = """#!/bin/sh
# The namespace of the kubeconfig is that of the agents.
run() {{ {kubectl} --kubeconfig={kubeconfig} "$@"; }}
case "$1" in
    create)
        case "$CHANGES $*" in
            yes*|*" --dry-run"*) run "$@" ;;
            # The object may exist already.
            *) run "$@" --dry-run=client --output=yaml | run apply --dry-run=server --filename=- ;;
        esac ;;
    annotate|apply|delete|drain|label|patch|scale)
        dry_run=--dry-run=server
        case "$CHANGES $*" in yes*|*" --dry-run"*) dry_run= ;; esac
        run "$@" $dry_run ;;
    auth) run "$@"; exit 0 ;;
    port-forward)
        {kubectl} --kubeconfig={kubeconfig} "$@" > {folder}/forward 2>&1 &
        until grep -q Forwarding {folder}/forward; do kill -0 $! || exit 1; sleep 0.1; done ;;
    *) run "$@" ;;
esac || {{ echo "kubectl $*" >> {folder}/failures; exit 1; }}
"""


@pytest.fixture(scope="module")
def fleet(sandbox):
    """The objects that the pages name: an agent, halts, and Datadog objects."""
    sandbox.namespace(NAMESPACE)
    sandbox.apply_example(NAMESPACE, env="documentation")
    observability = sandbox.checkout / "examples" / "observability.yaml"
    sandbox.tools.kubectl("apply", f"--filename={observability}", f"--namespace={NAMESPACE}")
    sandbox.wait_ready(NAMESPACE)
    incident = sandbox.checkout / "examples" / "halt.yaml"
    sandbox.tools.kubectl("apply", f"--filename={incident}", f"--namespace={NAMESPACE}")
    sandbox.tools.kubectl("apply", "--filename=-", stdin=json.dumps(a_halt("monitor-momentum")))
    # A halt whose agents drain cannot be deleted.
    wait_for(lambda: are_drained(sandbox), what="the end of the draining", timeout_s=180)
    yield sandbox
    there = f"--namespace={NAMESPACE}"
    sandbox.tools.kubectl("annotate", "pfh", "--all", "purpleflea.com/force-resume=true", there)
    sandbox.tools.kubectl("delete", "pfh,pfo,pfa", "--all", there)


def are_drained(sandbox):
    listed = sandbox.tools.kubectl("get", "pfh", f"--namespace={NAMESPACE}", "--output=json")
    conditions = [
        {entry["type"]: entry["status"] for entry in item.get("status", {}).get("conditions", ())}
        for item in json.loads(listed)["items"]
    ]
    return all(item.get("Draining") == "False" for item in conditions)


def a_halt(name):
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaHalt",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"level": "Halt", "reason": "a test", "selector": {"names": ["another"]}},
    }


@pytest.fixture(scope="module")
def shell(fleet, tmp_path_factory):
    """Return a folder with the kubectl above and its kubeconfig."""
    folder = tmp_path_factory.mktemp("shell")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_bytes(fleet.tools.kubeconfig.read_bytes())
    kubectl = str(fleet.tools.kubectl_program)
    wrapper = folder / "kubectl"
    wrapper.write_text(WRAPPER.format(kubectl=kubectl, kubeconfig=kubeconfig, folder=folder))
    wrapper.chmod(0o755)
    # tests/unit/documentation renders the commands of Helm.
    helm = folder / "helm"
    helm.write_text("#!/bin/sh\n")
    helm.chmod(0o755)
    use_namespace(folder)
    return folder


def use_namespace(shell):
    command = [str(shell / "kubectl"), "config", "set-context", "--current"]
    subprocess.run([*command, f"--namespace={NAMESPACE}"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def names(fleet):
    """Values of the words in capitals on the pages."""
    node_agents = fleet.tools.get("pods", "--namespace=datadog", "--selector=app=datadog-agent")
    pod = fleet.pods(NAMESPACE)["momentum-0"]
    return {
        "NODE_AGENT_POD": node_agents["items"][0]["metadata"]["name"],
        "YOUR_KEY": "k",
        "POD:8080": f"{fleet.leader()}:8080",
        "POD": "momentum-0",
        "NODE": pod["spec"]["nodeName"],
        "AGENT": "momentum",
        "HALT": "incident",
        "NAMESPACE": NAMESPACE,
        "NAME": "fleet",
    }


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_commands_of_the_block_run(block: Block, fleet, shell, names):
    text = block.text
    for placeholder, value in names.items():
        text = text.replace(placeholder, value)
    assert failures(text, shell, cwd=fleet.checkout) == ""


@pytest.mark.timeout(1200)
def test_the_tutorial_runs_from_the_first_to_the_last_command(fleet, shell, tmp_path):
    page = (fleet.checkout / TUTORIAL).read_text()
    files = re.findall(r"^`([\w.]+)`:\n\n```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for name, text in files:
        (tmp_path / name).write_text(text)
    assert {name for name, _ in files} == {"deployment.yaml", "momentum.yaml", "halt.yaml"}
    try:
        for block in all_blocks("sh"):
            if block.page == TUTORIAL:
                # A machine that also runs other tests needs longer than that of a user.
                text = re.sub(r"--timeout=\d+s", "--timeout=600s", block.text)
                assert failures(text, shell, cwd=tmp_path, changes=True) == "", block
    finally:
        use_namespace(shell)
        fleet.tools.kubectl("delete", "pfh", "--all", "--namespace=tutorial", "--ignore-not-found")
        fleet.tools.kubectl("delete", "namespace", "tutorial", "--ignore-not-found")


def test_the_recorded_session_is_that_of_its_script(fleet, shell, tmp_path):
    """The script halts and resumes the agents; its picture has the same commands as the stored one."""
    there = f"--namespace={NAMESPACE}"
    fleet.tools.kubectl("delete", "pfh", "--all", there)
    variables = {"PATH": f"{shell}:{os.environ['PATH']}", "CHANGES": "yes"}
    found = recording.record(recording.HALT, {**os.environ, **variables}, title="a halt")
    (fleet.checkout / "test-results").mkdir(exist_ok=True)
    (fleet.checkout / "test-results" / "halt.svg").write_text(found)
    shown = html.unescape(found).replace("\xa0", " ")
    for command in recording.HALT:
        assert f"$ {command[:60]}" in re.sub("<[^>]+>", "", shown)
    assert shown.count("condition met") >= 3


def failures(text, shell, *, cwd, changes=False):
    """Run a shell text; return the failed kubectl commands with the output, or an empty text."""
    record = shell / "failures"
    record.unlink(missing_ok=True)
    variables = {"PATH": f"{shell}:{os.environ['PATH']}", "TOKEN": "t"}
    with (shell / "output").open("w+") as output:  # a forwarded port would keep a pipe open
        program = subprocess.Popen(
            ["sh", "-c", text],
            cwd=cwd,
            env={**os.environ, **variables, "CHANGES": "yes" if changes else ""},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            program.wait(timeout=900)
        except subprocess.TimeoutExpired:
            return f"{text} does not end"
        finally:
            stop(program)
        output.seek(0)
        return f"{record.read_text()}\n{output.read()}" if record.exists() else ""


def stop(program):
    """End the processes that the commands left, such as a forwarded port."""
    try:
        os.killpg(program.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    program.wait()

"""The kubectl commands of all pages, run as they are written, against the real API server.

A kubectl before the real one on the path adds `--dry-run=server` to commands that change something, so the sequence of
the pages does not matter, and the API server still checks each change with its admission.
"""

import json
import os
import signal
import subprocess

import pytest

from support.documentation import Block, all_blocks, commands

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NAMESPACE = "trading"
BLOCKS = [
    block
    for block in all_blocks("sh")
    if block.mark is None and any(words[0] == "kubectl" for words in commands(block.text))
]
WRAPPER = """#!/bin/sh
# The namespace of the kubeconfig is that of the agents.
run() {{ {kubectl} --kubeconfig={kubeconfig} "$@"; }}
case "$1" in
    annotate|apply|create|delete|drain|label|patch|scale)
        case " $* " in *" --dry-run"*) run "$@" ;; *) run "$@" --dry-run=server ;; esac ;;
    auth) run "$@"; exit 0 ;;
    port-forward)
        run "$@" > {folder}/forward &
        until grep -q Forwarding {folder}/forward; do kill -0 $! || exit 1; sleep 0.1; done ;;
    *) run "$@" ;;
esac || {{ echo "kubectl $*" >> {folder}/failures; exit 1; }}
"""


@pytest.fixture(scope="module")
def fleet(sandbox):
    """The objects that the pages name: an agent, halts, and Datadog objects."""
    sandbox.namespace(NAMESPACE)
    sandbox.apply_example(NAMESPACE, env="documentation")
    for name in ("incident", "monitor-momentum"):
        sandbox.tools.kubectl("apply", "--filename=-", stdin=json.dumps(a_halt(name)))
    observability = sandbox.checkout / "examples" / "observability.yaml"
    sandbox.tools.kubectl("apply", f"--filename={observability}", f"--namespace={NAMESPACE}")
    sandbox.wait_ready(NAMESPACE)
    yield sandbox
    there = f"--namespace={NAMESPACE}"
    sandbox.tools.kubectl("annotate", "pfh", "--all", "purpleflea.com/force-resume=true", there)
    sandbox.tools.kubectl("delete", "pfh,pfo,pfa", "--all", there)


def a_halt(name):
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaHalt",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"level": "Halt", "reason": "a test", "selector": {"names": ["another"]}},
    }


@pytest.fixture(scope="module")
def shell(fleet, tmp_path_factory):
    """Return the environment of the commands, with the kubectl above."""
    folder = tmp_path_factory.mktemp("shell")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_bytes(fleet.tools.kubeconfig.read_bytes())
    kubectl = str(fleet.tools.kubectl_program)
    use = [kubectl, f"--kubeconfig={kubeconfig}", "config", "set-context", "--current"]
    subprocess.run([*use, f"--namespace={NAMESPACE}"], check=True, capture_output=True)
    wrapper = folder / "kubectl"
    wrapper.write_text(WRAPPER.format(kubectl=kubectl, kubeconfig=kubeconfig, folder=folder))
    wrapper.chmod(0o755)
    return folder


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
    failures = shell / "failures"
    failures.unlink(missing_ok=True)
    program = subprocess.Popen(
        ["sh", "-c", text],
        cwd=fleet.checkout,
        env={**os.environ, "PATH": f"{shell}:{os.environ['PATH']}", "TOKEN": "t"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = program.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        output = "it does not end"
        failures.write_text(text)
    finally:
        stop(program)
    assert not failures.exists(), f"{failures.read_text()}\n{output}"


def stop(program):
    """End the processes that the commands left, such as a forwarded port."""
    try:
        os.killpg(program.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    program.wait()

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
import sys
from pathlib import Path

import pytest
import yaml
from website import recording

from support.documentation import Block, all_blocks, commands
from support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMESPACE = "trading"
TUTORIAL = "docs/tutorial.md"
PLUGIN = "docs/kubectl-plugin.md"
BLOCKS = [
    block
    for block in all_blocks("sh")
    if block.page not in (TUTORIAL, PLUGIN)
    and block.mark is None
    and any(words[0] == "kubectl" for words in commands(block.text))
]
WRAPPER = """#!/bin/sh
# The namespace of the kubeconfig is that of the agents.
run() {{ KUBECONFIG={kubeconfig} {kubectl} "$@"; }}
case "$1" in
    purpleflea)
        export PURPLEFLEA_KUBECTL={kubectl}
        # The plugin reports problems that it finds with exit codes. It redraws until it is interrupted.
        case "$*" in *" -w"*) run "$@" --interval=60 > {folder}/screen & sleep 5; kill $!; exit 0 ;; esac
        run "$@"
        code=$?
        case "$2 $code" in *" 0"|*" 3"|*" 10"|*" 20"|"render 1") exit $code ;; esac
        false ;;
    create)
        case "$CHANGES $*" in
            yes*|*" --dry-run"*) run "$@" ;;
            # The object may exist already.
            *) run "$@" --dry-run=client --output=yaml | run apply --dry-run=server --filename=- ;;
        esac ;;
    annotate|apply|delete|drain|label|patch|scale)
        dry_run=--dry-run=server
        case "$CHANGES $*" in yes*|*" --dry-run"*) dry_run= ;; esac
        # Helm installed the objects of deploy/install.yaml.
        case "$CHANGES $*" in " "*" --server-side"*) dry_run="$dry_run --force-conflicts" ;; esac
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
    # The page of the plugin has two clusters.
    config = yaml.safe_load(kubeconfig.read_text())
    (context,) = config["contexts"]
    config["contexts"] += [{**context, "name": name} for name in ("eu", "us")]
    kubeconfig.write_text(yaml.safe_dump(config))
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


def test_the_commands_of_the_plugin_run_in_sequence(fleet, shell, tmp_path):
    deployment = next(block.text for block in all_blocks("yaml") if block.page == TUTORIAL)
    # The fleet has an agent with this name, and its storage cannot be removed.
    imported = re.sub(
        r"^(metadata:\n(?:  .*\n)*?  name:) .*$", r"\1 imported", deployment, count=1, flags=re.M
    )
    assert imported != deployment
    (tmp_path / "deployment.yaml").write_text(imported)
    run = [block for block in all_blocks("sh") if block.page == PLUGIN and block.mark is None]
    assert len(run) >= 7
    for block in run:
        assert failures(block.text, shell, cwd=tmp_path) == "", block
    assert list(tmp_path.glob("*.tar.gz")) or list(tmp_path.glob("*.zip")), os.listdir(tmp_path)


@pytest.mark.timeout(1200)
def test_the_tutorial_runs_from_the_first_to_the_last_command(fleet, shell, tmp_path):
    page = (fleet.checkout / TUTORIAL).read_text()
    files = re.findall(r"^`([\w.]+)`:\n\n```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for name, text in files:
        (tmp_path / name).write_text(text)
    assert {name for name, _ in files} == {"deployment.yaml", "demo.yaml", "halt.yaml"}
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


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ("halt", ["purplefleahalt.purpleflea.com/incident condition met", "deleted"]),
        ("doctor", ["0 errors, 0 warnings", "cannot be pulled", "# exit code 20"]),
    ],
)
@pytest.mark.timeout(1800)
def test_the_recorded_session_is_that_of_its_script(session, expected, fleet, shell, monkeypatch):
    """The scripts change the agents; their pictures have the same commands as the stored ones."""
    there = f"--namespace={NAMESPACE}"
    fleet.tools.kubectl("delete", "pfh", "--all", there)
    variables = {"PATH": path(shell), "CHANGES": "yes"}
    title, lines = recording.SESSIONS[session]
    # A machine that also runs other tests needs longer than that of a user.
    monkeypatch.setattr(recording, "TIMEOUT_S", 600)
    patient = [re.sub(r"--timeout=\d+s", "--timeout=590s", line) for line in lines]
    found = recording.record(patient, {**os.environ, **variables}, title=title)
    (fleet.checkout / "test-results").mkdir(exist_ok=True)
    (fleet.checkout / "test-results" / f"{session}.svg").write_text(found)
    shown = re.sub("<[^>]+>", "", html.unescape(found).replace("\xa0", " "))
    for command in patient:
        assert f"$ {command[:60]}" in shown
    for text in expected:
        assert text in shown


def path(shell):
    """Return a PATH that starts with the kubectl above and has the plugin."""
    return os.pathsep.join([str(shell), os.environ["PATH"], str(Path(sys.executable).parent)])


def failures(text, shell, *, cwd, changes=False):
    """Run a shell text; return the failed kubectl commands with the output, or an empty text."""
    record = shell / "failures"
    record.unlink(missing_ok=True)
    variables = {"PATH": path(shell), "TOKEN": "t", "HOME": str(shell)}
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

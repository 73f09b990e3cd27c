"""`kubectl purpleflea` as kubectl starts it, on a real cluster with real agents, with and without the operator.

It runs the commands of docs/kubectl-plugin.md and docs/start.md that change something; test_documentation.py runs the
others as they are written.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from purpleflea_sandbox.demo import installation
from support import waiting

wait_for = functools.partial(waiting.wait_for, every_s=0.5, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

NAMESPACE = "plugin"
OPERATOR = "deployment/purpleflea-operator"


@pytest.fixture(scope="module")
def fleet(sandbox):
    """Three agents that trade."""
    sandbox.namespace(NAMESPACE)
    sandbox.apply_example(NAMESPACE, env=NAMESPACE)
    sandbox.wait_ready(NAMESPACE)
    yield sandbox
    scale(sandbox, 1)
    there = f"--namespace={NAMESPACE}"
    sandbox.tools.kubectl("annotate", "pfh", "--all", "purpleflea.com/force-resume=true", there)
    sandbox.tools.kubectl("delete", "pfh", "--all", there)


@pytest.fixture
def plugin(fleet, repository):
    """Run `kubectl purpleflea`, which kubectl finds as a program on PATH."""
    kubectl = repository / ".sandbox" / "bin" / "kubectl"
    folders = (Path(sys.executable).parent, kubectl.parent)
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    flags = ("--kubeconfig", str(fleet.provider.kubeconfig), "--namespace", NAMESPACE)

    def run(command, *arguments, stdin=None):
        return subprocess.run(
            [kubectl, "purpleflea", command, *flags, *arguments],
            input=stdin,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def scale(sandbox, replicas):
    there = f"--namespace={installation.OPERATOR}"
    sandbox.tools.kubectl("scale", OPERATOR, f"--replicas={replicas}", there)
    if replicas:
        sandbox.tools.kubectl("rollout", "status", OPERATOR, there, "--timeout=180s")
    else:
        # Before it ends, the standby can take a released Lease.
        wait_for(lambda: sandbox.pods(installation.OPERATOR) == {}, what="the end of the operator")
        wait_for(lambda: not sandbox.leader(), what="the operator released its Lease")


def mode(sandbox):
    return sandbox.conditions(NAMESPACE).get("TradingActive", {}).get("reason")


def test_a_halt_is_proven_and_a_resume_ends_it(fleet, plugin):
    done = plugin("status", "momentum")
    assert done.returncode == 0, done.stderr
    assert "3/3 ready" in done.stdout
    assert "drawdown" in done.stdout.splitlines()[-1]
    done = plugin("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "you have all rights in namespace plugin" in done.stdout
    assert "the clock of this machine agrees with the API server" in done.stdout
    assert "3 CRDs are installed" in done.stdout
    done = plugin("halt", "--all", "--reason=wrong prices", "--name=incident", "--wait=drained")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROVEN: 3/3 running agents of 1 resource" in done.stdout
    # The plugin reads the halt. The status of the agent is written after that of the halt.
    wait_for(lambda: mode(fleet) == "Halted", what="the agent reports the halt")
    done = plugin("resume", "incident")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: mode(fleet) == "Active", what="the agent reports the end of the halt")


def test_the_operator_renders_the_objects_that_it_has_applied(fleet, plugin):
    there = f"--namespace={NAMESPACE}"
    agent = yaml.safe_load(fleet.tools.kubectl("get", "pfa", "momentum", "--output=yaml", there))
    for key in ("resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"):
        agent["metadata"].pop(key, None)
    del agent["status"]
    done = plugin("render", "--filename=-", stdin=yaml.safe_dump(agent))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    agent["spec"]["replicas"] += 1
    done = plugin("render", "--filename=-", stdin=yaml.safe_dump(agent))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "-  replicas: 3\n+  replicas: 4" in done.stdout
    assert "+++ rendered/StatefulSet/plugin/momentum" in done.stdout


def test_agents_acknowledge_a_halt_while_the_operator_is_down(fleet, plugin):
    scale(fleet, 0)
    done = plugin("halt", "momentum", "--reason=no operator", "--name=direct")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "writes the control files of the agents itself" in done.stderr
    assert "(reported by the agents)" in done.stdout
    done = plugin("why", "momentum")
    assert (done.returncode, "the operator does not run" in done.stdout) == (10, True)
    # Nothing resumes the agents before the operator runs again.
    done = plugin("resume", "direct", "--timeout=1")
    assert done.returncode == 3, done.stdout + done.stderr

"""The steps of the workflow in examples/ci work against the Datadog stand-in and fail if they should."""

import json
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.datadog_api import API_KEY, DatadogApi
from support.workflow import Runner, Workflow

SHA = "0123456789012345678901234567890123456789"
CONTEXT = {
    "secrets.DATADOG_API_KEY": API_KEY,
    "secrets.KUBECONFIG": "apiVersion: v1",
    "github.sha": SHA,
    "github.server_url": "https://git.invalid",
    "github.repository": "team/agents",
    "github.repository_id": "42",
    "github.run_id": "7",
}
TESTS = """
def test_good():
    pass
"""
KUBECTL = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
test "$1" = patch && printf 4
exit "$KUBECTL_EXIT"
"""


@pytest.fixture
def api() -> Iterator[DatadogApi]:
    with DatadogApi() as datadog:
        yield datadog


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a repository of an agent with tests, and a kubectl that records its calls."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_agent.py").write_text(TESTS)
    (tmp_path / "requirements.txt").write_text("httpx\nfastapi\n")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    )
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL)
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    return tmp_path


class Machine:
    """Creates runners of the workflow's jobs."""

    def __init__(self, workflow: Path, checkout: Path, api: DatadogApi) -> None:
        self._workflow = workflow
        self._checkout = checkout
        self.environment = {
            "PATH": f"{checkout / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(checkout),
            "CALLS": str(checkout / "calls"),
            "KUBECTL_EXIT": "0",
            "DD_API_URL": api.url,
            "DD_CIVISIBILITY_AGENTLESS_URL": api.url,
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            # All requirements are already installed, so pip does not need an index.
            "PIP_NO_INDEX": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }

    def runner(self, job: str, **context: str) -> Runner:
        changed = CONTEXT | {name.replace("__", "."): value for name, value in context.items()}
        return Runner(Workflow(self._workflow, changed), job, self._checkout, self.environment)

    @property
    def calls(self) -> list[str]:
        return Path(self.environment["CALLS"]).read_text().splitlines()


@pytest.fixture
def machine(repository: Path, checkout: Path, api: DatadogApi) -> Machine:
    return Machine(repository / "examples/ci/agent-ci.yml", checkout, api)


def test_the_first_step_installs_all_requirements(machine: Machine) -> None:
    done = machine.runner("test").run("Install")

    assert done.returncode == 0, done.stdout + done.stderr


def test_results_arrive_in_datadog(machine: Machine, api: DatadogApi, checkout: Path) -> None:
    done = machine.runner("test").run("Test")

    assert done.returncode == 0, done.stdout + done.stderr
    tests = [item for item in api.organisation.tests if item["type"] == "test"]
    counts = Counter((item["content"]["service"], item["metadata"]["env"]) for item in tests)
    assert counts == {("purpleflea-trading-agent", "ci"): 1}
    assert (checkout / "test-results.xml").exists()


def test_without_a_key_the_tests_run_and_nothing_is_sent(
    machine: Machine, api: DatadogApi, checkout: Path
) -> None:
    done = machine.runner("test", secrets__DATADOG_API_KEY="").run("Test")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert not api.request_log.entries


def test_a_failing_test_fails_the_job(machine: Machine, checkout: Path) -> None:
    (checkout / "tests/test_agent.py").write_text("def test_bad():\n    assert False\n")

    assert machine.runner("test").run("Test").returncode != 0


def test_a_rollout_waits_until_the_fleet_runs_the_new_version(machine: Machine) -> None:
    runner = machine.runner("deploy")
    done = runner.run("Roll out")

    assert done.returncode == 0, done.stderr
    patch, seen, available = machine.calls
    assert patch.startswith("patch purplefleaagent momentum --namespace trading --type merge")
    assert json.loads(patch.split("--patch ")[1].split(" --output")[0]) == {
        "spec": {"image": {"tag": SHA}}
    }
    assert seen.endswith("--for jsonpath={.status.observedGeneration}=4")
    assert available.endswith("--for condition=WorkloadAvailable")


def test_a_failed_rollout_fails_the_job(machine: Machine) -> None:
    machine.environment["KUBECTL_EXIT"] = "1"

    assert machine.runner("deploy").run("Roll out").returncode != 0


def test_the_kubeconfig_is_readable_only_by_its_owner(machine: Machine, checkout: Path) -> None:
    machine.runner("deploy").run("Roll out")

    assert stat.S_IMODE((checkout / "kubeconfig").stat().st_mode) == 0o600


def test_a_deployment_is_marked_once_if_the_step_runs_twice(
    machine: Machine, api: DatadogApi
) -> None:
    runner = machine.runner("deploy")
    runner.run("Roll out")
    for _ in range(2):
        done = runner.run("Mark the deployment")
        assert done.returncode == 0, done.stdout + done.stderr

    ((_, deployment),) = api.organisation.deployments.items()
    assert deployment["service"] == "purpleflea-trading-agent"
    assert deployment["env"] == "production"
    assert deployment["version"] == SHA
    assert deployment["git"] == {
        "repository_url": "https://git.invalid/team/agents",
        "commit_sha": SHA,
    }
    assert deployment["started_at"] <= deployment["finished_at"]


def test_another_run_is_another_deployment(machine: Machine, api: DatadogApi) -> None:
    for run in ("7", "8"):
        runner = machine.runner("deploy", github__run_id=run)
        runner.run("Roll out")
        runner.run("Mark the deployment")

    assert len(api.organisation.deployments) == 2


@pytest.mark.parametrize(
    ("key", "message"),
    [("wrong", "Forbidden"), ("", "the secret DATADOG_API_KEY is not set")],
)
def test_a_rejected_deployment_marker_fails_the_step(
    machine: Machine, key: str, message: str
) -> None:
    runner = machine.runner("deploy", secrets__DATADOG_API_KEY=key)
    runner.run("Roll out")
    done = runner.run("Mark the deployment")

    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_a_transient_error_is_retried(machine: Machine, api: DatadogApi) -> None:
    runner = machine.runner("deploy")
    runner.run("Roll out")
    api.fail({"kind": "status", "status": 503, "times": 1})
    done = runner.run("Mark the deployment")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(api.organisation.deployments) == 1


def test_no_secret_is_on_a_command_line(repository: Path) -> None:
    text = (repository / "examples/ci/agent-ci.yml").read_text()
    commands = Workflow(repository / "examples/ci/agent-ci.yml", CONTEXT).steps("deploy").values()

    assert "ddtrace-run pytest" not in text
    assert "/api/v1/deployments" not in text
    for step in commands:
        assert '--header "DD-API-KEY' not in step["run"]


def test_only_a_push_to_main_deploys_after_the_tests(repository: Path) -> None:
    job = Workflow(repository / "examples/ci/agent-ci.yml", CONTEXT).jobs["deploy"]

    assert job["needs"] == "test"
    assert job["if"] == "github.event_name == 'push' && github.ref == 'refs/heads/main'"

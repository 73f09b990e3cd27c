"""Results of `make test` and `pytest --ddtrace` arrive, but only if a key is set."""

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.datadog_api import API_KEY, DatadogApi

TESTS = """
import pytest

def test_good():
    pass

def test_bad():
    raise AssertionError("on purpose")

@pytest.mark.skip
def test_skipped():
    pass
"""
COMMIT = "0123456789012345678901234567890123456789"


@pytest.fixture
def running() -> Iterator[DatadogApi]:
    with DatadogApi() as api:
        yield api


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without variables of Datadog, pytest and make."""
    foreign = ("DD_", "PYTEST", "MAKE", "MFLAGS", "_DD_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | variables


def ci_environment(api: DatadogApi) -> dict[str, str]:
    return clean_environment(
        DD_API_KEY=API_KEY,
        DD_CIVISIBILITY_AGENTLESS_URL=api.url,
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_GIT_REPOSITORY_URL="https://git.invalid/agents.git",
        DD_GIT_COMMIT_SHA=COMMIT,
        DD_GIT_BRANCH="main",
    )


def recipe(repository: Path, environment: Mapping[str, str]) -> str:
    """Return the command with which `make test-wire` starts pytest."""
    return recipes(repository, environment, "test-wire")[0]


def recipes(repository: Path, environment: Mapping[str, str], target: str) -> list[str]:
    """Return the commands with which a target starts pytest."""
    ready = ("--old-file=.venv/.ready", "--old-file=.venv-check/.ready")
    done = subprocess.run(
        ["make", "--dry-run", "--silent", *ready, target],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "-m pytest" in line]


def results(api: DatadogApi) -> Counter[tuple[str, str]]:
    tests = (one["content"]["meta"] for one in api.organisation.tests if one["type"] == "test")
    return Counter((meta["test.name"], meta["test.status"]) for meta in tests)


def test_results_of_make_are_received_if_a_key_is_set(
    running: DatadogApi, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "test_three.py").write_text(TESTS)
    environment = ci_environment(running)
    line = recipe(repository, environment)
    assert line.endswith(" tests/wire"), line
    command = line.replace("tests/wire", shlex.quote(str(tmp_path)))
    command = command.replace(".venv/bin/python", shlex.quote(sys.executable))
    done = subprocess.run(
        ["sh", "-c", f"{command} -p no:cacheprovider -c {repository / 'pyproject.toml'}"],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 failed, 1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert results(running) == {
        ("test_good", "pass"): 1,
        ("test_bad", "fail"): 1,
        ("test_skipped", "skip"): 1,
    }
    test = next(one for one in running.organisation.tests if one["type"] == "test")
    assert test["content"]["service"] == "purpleflea-operator"
    assert test["metadata"]["git.commit.sha"] == COMMIT, test
    assert test["metadata"]["env"] == "ci"


def test_make_sends_no_results_without_a_key(repository: Path) -> None:
    line = recipe(repository, clean_environment())

    assert "--ddtrace" not in line
    assert "DD_" not in line


def test_every_make_test_target_sends_its_results(repository: Path) -> None:
    lines = recipes(repository, clean_environment(DD_API_KEY="x"), "test")
    folders = {path.name for path in (repository / "tests").iterdir() if path.is_dir()}
    tiers = folders - {"data", "support", "__pycache__"}

    assert {tier for tier in tiers if any(f"tests/{tier}" in line for line in lines)} == tiers
    assert all("DD_CIVISIBILITY_AGENTLESS_ENABLED=1" in line for line in lines)
    assert all("--ddtrace" in line for line in lines)


def test_service_and_environment_can_be_configured(repository: Path) -> None:
    line = recipe(repository, clean_environment(DD_API_KEY="x", DD_SERVICE="mine", DD_ENV="dev"))

    assert "DD_SERVICE=mine DD_ENV=dev" in line


async def test_malformed_results_are_rejected(ask) -> None:
    for body in (b"\xc1", b"\x80", b"\x93\x01\x02\x03", b"\x1f\x8bnonsense"):
        headers = {"Content-Type": "application/msgpack"}
        status, _ = await ask("POST", "/api/v2/citestcycle", data=body, headers=headers)
        assert status == 400, body


async def test_every_commit_is_reported_as_known_to_avoid_history_upload(ask) -> None:
    path = "/api/v2/git/repository/search_commits"
    commits = [{"id": COMMIT, "type": "commit"}]

    assert await ask("POST", path, {"data": commits}) == (200, {"data": commits})
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    pack = "/api/v2/git/repository/packfile"
    assert (await ask("POST", pack, data=b"pack", headers=headers))[0] == 204


async def test_settings_disable_features_that_skip_or_repeat_tests(ask) -> None:
    status, body = await ask("POST", "/api/v2/libraries/tests/services/setting", {"data": {}})
    attributes: dict[str, Any] = body["data"]["attributes"]

    assert status == 200
    assert not any(value for value in attributes.values() if isinstance(value, bool))


async def test_received_results_and_deployments_are_shown(ask) -> None:
    attributes = {"service": "agents", "started_at": 1, "finished_at": 2}
    await ask("POST", "/api/v2/dora/deployment", {"data": {"attributes": attributes}})

    assert await ask("GET", "/received/tests") == (200, {"tests": []})
    _, shown = await ask("GET", "/received/deployments")
    assert shown["deployments"][0]["service"] == "agents"

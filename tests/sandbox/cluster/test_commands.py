import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from purpleflea_sandbox.__main__ import main
from purpleflea_sandbox.cluster import records
from purpleflea_sandbox.cluster.identity import identify
from purpleflea_sandbox.cluster.records import ClusterRecord


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "checkout" / "sandbox").mkdir(parents=True)
    (tmp_path / "checkout" / "sandbox" / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "checkout")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["cluster", *arguments])
    return result.exit_code, result.output


def test_the_status_of_a_missing_cluster_is_stopped_and_fails() -> None:
    code, output = run("status", "--provider", "simulated")

    assert code == 1
    assert "stopped, not ready" in output


def test_a_missing_kubeconfig_is_one_line_with_a_remedy() -> None:
    code, output = run("kubeconfig", "--provider", "simulated")

    assert code == 1
    assert output.startswith("Error: kubeconfig ")
    assert "run 'cluster up --name demo' first" in output
    assert output.count("\n") == 1


def test_only_the_path_of_the_kubeconfig_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "checkout" / ".sandbox" / "kubeconfig"
    path.parent.mkdir()
    path.touch()

    assert run("kubeconfig", "--provider", "simulated") == (0, f"{path}\n")


def test_removing_a_missing_cluster_succeeds() -> None:
    assert run("down", "--provider", "simulated") == (0, "cluster demo does not exist\n")


def test_an_invalid_name_is_a_one_line_error() -> None:
    code, output = run("up", "--name", "No/Name")

    assert code == 1
    assert output.startswith("Error: 'No/Name' is not a valid cluster name")


def test_a_crashed_cluster_is_shown_as_stale() -> None:
    state = identify("demo").state
    records.record_provider(state, "simulated")
    records.save(state, ClusterRecord(server="https://127.0.0.1:1", audit=True, kubectl="/k"))

    code, output = run("status")

    assert code == 1
    assert "stale, not ready" in output
    assert "audit.jsonl" in output


def test_the_top_level_help_imports_no_command_group() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from purpleflea_sandbox.__main__ import main;"
        "r = CliRunner().invoke(main, ['--help']); import json;"
        "print(json.dumps([r.output, [m for m in sys.modules if m.startswith('purpleflea_sandbox.')]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    output, modules = json.loads(done.stdout)
    assert all(group in output for group in ("cluster", "images", "demo"))
    assert modules == ["purpleflea_sandbox.__main__"]


@pytest.mark.parametrize(
    "module",
    [
        "supervisor",
        "wait_for_apiserver",
        "local.node_setup",
        "local.tcp_proxy",
        "local.container_cleanup",
    ],
)
def test_modules_that_run_inside_the_cluster_have_few_imports(module: str) -> None:
    code = f"import sys, purpleflea_sandbox.cluster.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    heavy = {"kubernetes", "cryptography", "rich", "click", "yaml", "pydantic"}
    assert not heavy & set(done.stdout.split())

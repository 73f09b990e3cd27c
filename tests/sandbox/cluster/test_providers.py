import os
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import providers, records
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import identify
from purpleflea_sandbox.cluster.records import ClusterRecord


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(providers.VARIABLE, raising=False)
    (tmp_path / "bin").mkdir()


def docker(tmp_path: Path, script: str) -> None:
    program = tmp_path / "bin" / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_responding_engine_is_selected(tmp_path: Path) -> None:
    docker(tmp_path, "echo 29.0.1")

    assert providers.best() == "kind"


@pytest.mark.parametrize("script", ["exit 1", "echo", "while :; do :; done"], ids=str)
def test_an_engine_that_does_not_respond_is_not_selected(tmp_path: Path, script: str) -> None:
    docker(tmp_path, script)

    assert providers.best() == ("local" if os.geteuid() == 0 else "simulated")


@pytest.mark.parametrize("name", ["kind", "local", "simulated"])
def test_the_variable_selects_the_provider_of_new_clusters(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(providers.VARIABLE, name)

    assert providers.provider("demo").name == name


@pytest.mark.parametrize("name", ["", "auto"])
def test_without_a_value_the_best_provider_is_selected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    docker(tmp_path, "echo 29.0.1")
    monkeypatch.setenv(providers.VARIABLE, name)

    assert providers.best() == "kind"


def test_an_unknown_provider_in_the_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(providers.VARIABLE, "minikube")

    with pytest.raises(ClusterError, match="PURPLEFLEA_PROVIDER is minikube; set it to auto, kind"):
        providers.provider("demo")


def test_an_existing_cluster_keeps_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(providers.VARIABLE, "kind")
    records.record_provider(identify("demo").state, "simulated")

    assert providers.provider("demo").name == "simulated"


def test_a_cluster_cannot_change_its_provider() -> None:
    records.record_provider(identify("demo").state, "simulated")

    with pytest.raises(ClusterError, match="exists with provider simulated"):
        providers.provider("demo", "local")


@pytest.mark.parametrize("choice", ["local", "simulated", "kind"])
def test_every_provider_reports_a_missing_cluster_as_stopped(
    choice: providers.Choice,
) -> None:
    seen = providers.provider("demo", choice).status()

    assert (seen.provider, seen.state, seen.ready) == (choice, "stopped", False)
    assert seen.real
    assert seen.simulated


def test_a_saved_record_is_loaded_unchanged(tmp_path: Path) -> None:
    record = ClusterRecord(server="https://127.0.0.1:1", audit=True, kubectl="/k")

    records.save(tmp_path, record)

    assert records.load(tmp_path) == record


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_truncated_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "cluster.json").write_text(content)

    assert records.load(tmp_path) is None

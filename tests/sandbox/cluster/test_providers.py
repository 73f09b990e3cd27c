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
    (tmp_path / "bin").mkdir()


def docker(tmp_path: Path, script: str) -> None:
    program = tmp_path / "bin" / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_an_engine_that_answers_is_taken(tmp_path: Path) -> None:
    docker(tmp_path, "echo 29.0.1")

    assert providers.best() == "kind"


@pytest.mark.parametrize("script", ["exit 1", "echo", "while :; do :; done"], ids=str)
def test_an_engine_that_does_not_answer_is_not_taken(tmp_path: Path, script: str) -> None:
    docker(tmp_path, script)

    assert providers.best() == ("local" if os.geteuid() == 0 else "simulated")


def test_an_existing_cluster_is_found_again_by_its_provider() -> None:
    records.record_provider(identify("demo").state, "simulated")

    assert providers.provider("demo").name == "simulated"


def test_a_cluster_is_not_taken_over_by_another_provider() -> None:
    records.record_provider(identify("demo").state, "simulated")

    with pytest.raises(ClusterError, match="exists with provider simulated"):
        providers.provider("demo", "local")


@pytest.mark.parametrize("choice", ["local", "simulated", "kind"])
def test_every_provider_can_tell_of_a_cluster_that_is_not_there(
    choice: providers.Choice,
) -> None:
    seen = providers.provider("demo", choice).status()

    assert (seen.provider, seen.state, seen.ready) == (choice, "stopped", False)
    assert seen.real
    assert seen.simulated


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = ClusterRecord(server="https://127.0.0.1:1", audit=True, kubectl="/k")

    records.save(tmp_path, record)

    assert records.load(tmp_path) == record


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_cut_off_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "cluster.json").write_text(content)

    assert records.load(tmp_path) is None

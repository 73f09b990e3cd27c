import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from purpleflea_sandbox.engine.commands import engine


@pytest.fixture(autouse=True)
def machine_without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use an empty PATH and an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PURPLEFLEA_KUBE_BIN", raising=False)


@pytest.mark.parametrize(
    ("user", "reason"),
    [(1000, "no Docker engine answers"), (0, "the node image of kind is not built")],
)
def test_the_command_is_skipped_with_the_reason_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, reason: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})

    done = CliRunner().invoke(engine, ["run", "--or-skip", "--", "false"])

    assert done.exit_code == 0
    assert done.output.startswith(f"skipped: {reason}; ")
    assert not (tmp_path / "cache").exists()


def test_without_the_option_a_missing_engine_is_an_error_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    done = CliRunner().invoke(engine, ["run", "--", "false"])

    assert done.exit_code == 1
    assert done.output.startswith("Error: no Docker engine answers; start one, or run as root")

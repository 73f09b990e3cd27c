"""Runs `kubectl purpleflea` in the process of a test, with the kubectl of the sandbox."""

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kubectl_purpleflea.application import cli

CACHE = Path(os.environ.get("PURPLEFLEA_CACHE", Path.home() / ".cache" / "purpleflea"))


def kubectl_program() -> Path | None:
    """Return the kubectl that the sandbox built, or that of the machine; None if there is none."""
    built = sorted(CACHE.glob("bin/*/kubernetes-*/kubectl"))
    found = shutil.which("kubectl")
    return built[-1] if built else Path(found) if found else None


class Plugin:
    """The plugin against one API server."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags

    def run(self, *arguments: str) -> Result:
        """Run a command and return its result, with stdout and stderr together in `output`."""
        return CliRunner().invoke(cli, [*arguments, *self._flags])

    def run_last(self, *arguments: str) -> Result:
        """Run a command whose last arguments follow `--`."""
        command, *others = arguments
        return CliRunner().invoke(cli, [command, *self._flags, *others])


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A real kubectl, which the plugin uses."""
    program = kubectl_program()
    if program is None:
        pytest.skip("kubectl is built by the first run of the cluster tests")
    monkeypatch.setenv("PURPLEFLEA_KUBECTL", str(program))
    # The discovery cache of kubectl is below the home directory.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return program

"""Runs kubectl and helm as child processes.

This module does not depend on the steps of the demo.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from purpleflea_sandbox.demo.errors import DemoError

TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """kubectl and helm for one cluster."""

    kubeconfig: Path
    kubectl_program: Path
    helm_program: Path = Path(sys.executable).parent / "helm"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return its output."""
        return _run([str(self.kubectl_program), *self._cluster(), *arguments], stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Run `kubectl get -o json` and return the object; the result is empty if the object does
        not exist.
        """
        text = self.kubectl("get", *arguments, "--output=json", "--ignore-not-found")
        parsed: dict[str, Any] = json.loads(text) if text.strip() else {}
        return parsed

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests with server-side apply."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(bundle))

    def helm(self, *arguments: str) -> str:
        """Run helm and return its output."""
        return _run([str(self.helm_program), *self._cluster(), *arguments], None)

    def _cluster(self) -> tuple[str, ...]:
        return (f"--kubeconfig={self.kubeconfig}",)


def _run(command: list[str], stdin: str | None) -> str:
    name = " ".join(
        argument
        for argument in [Path(command[0]).name, *command[1:4]]
        if "kubeconfig" not in argument
    )
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise DemoError(f"{command[0]} is missing; run `make setup`") from error
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{name}: no response within {TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise DemoError(f"{name}: {'; '.join(lines[-8:]) or f'exit {done.returncode}'}")
    return done.stdout

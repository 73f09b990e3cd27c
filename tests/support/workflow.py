"""Runs the `run:` steps of a GitHub Actions workflow as a runner does: expressions, env of all levels, GITHUB_ENV.

Only what our examples use; anything else is an error. `uses:` steps are somebody else's programs and are skipped.
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*([a-z_.A-Z]+)\s*\}\}")


class Workflow:
    """A workflow file, and the contexts its expressions read."""

    def __init__(self, path: Path, context: Mapping[str, str]) -> None:
        self._document: dict[str, Any] = yaml.safe_load(path.read_text())
        self._context = context

    @property
    def jobs(self) -> Mapping[str, Any]:
        jobs: Mapping[str, Any] = self._document["jobs"]
        return jobs

    def steps(self, job: str) -> dict[str, Mapping[str, Any]]:
        """The steps with a command, by name."""
        return {step["name"]: step for step in self.jobs[job]["steps"] if "run" in step}

    def expanded(self, text: str) -> str:
        """The text with the values of its expressions. Raises KeyError for one that is not known."""
        return _EXPRESSION.sub(lambda found: self._context[found[1]], text)


class Runner:
    """One job on one machine: a folder, an environment, and what steps pass on to later ones."""

    def __init__(
        self, workflow: Workflow, job: str, folder: Path, machine: Mapping[str, str]
    ) -> None:
        self._workflow = workflow
        self._job = job
        self._folder = folder
        self._passed_on = folder / ".github-env"
        self._passed_on.touch()
        self._machine = machine

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run one step, as a runner's bash does."""
        step = self._workflow.steps(self._job)[name]
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self._command(step)],
            cwd=self._folder,
            env=self._environment(step),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    def _command(self, step: Mapping[str, Any]) -> str:
        assert "${{" not in step["run"], "an expression in a command is an injection"
        return str(step["run"])

    def _environment(self, step: Mapping[str, Any]) -> dict[str, str]:
        document = self._workflow._document
        found = {**self._machine, "GITHUB_ENV": str(self._passed_on)}
        found["RUNNER_TEMP"] = str(self._folder)
        for level in (document, self._workflow.jobs[self._job], step):
            values = level.get("env") or {}
            found |= {key: self._workflow.expanded(str(value)) for key, value in values.items()}
        for line in self._passed_on.read_text().splitlines():
            key, _, value = line.partition("=")
            found[key] = value
        return found

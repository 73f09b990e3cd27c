"""Runs the `run:` steps of a GitHub Actions workflow like a runner: expressions, env of all levels, GITHUB_ENV.

Only the features that the examples use are supported; all others are errors. `uses:` steps are skipped.
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*([a-z_.A-Z]+)\s*\}\}")


class Workflow:
    """A workflow file and the contexts of its expressions."""

    def __init__(self, path: Path, context: Mapping[str, str]) -> None:
        self._document: dict[str, Any] = yaml.safe_load(path.read_text())
        self._context = context

    @property
    def jobs(self) -> Mapping[str, Any]:
        jobs: Mapping[str, Any] = self._document["jobs"]
        return jobs

    def steps(self, job: str) -> dict[str, Mapping[str, Any]]:
        """Return the steps with a command, by name."""
        return {step["name"]: step for step in self.jobs[job]["steps"] if "run" in step}

    def expanded(self, text: str) -> str:
        """Return the text with the values of its expressions.

        Raises KeyError for an unknown expression.
        """
        return _EXPRESSION.sub(lambda match: self._context[match[1]], text)


class Runner:
    """One job on one machine: a folder, an environment, and the variables that steps export to later steps."""

    def __init__(
        self, workflow: Workflow, job: str, folder: Path, machine: Mapping[str, str]
    ) -> None:
        self._workflow = workflow
        self._job = job
        self._folder = folder
        self._github_env = folder / ".github-env"
        self._github_env.touch()
        self._machine = machine

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run one step with the bash options of a runner."""
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
        assert "${{" not in step["run"], "an expression in a command is an injection risk"
        return str(step["run"])

    def _environment(self, step: Mapping[str, Any]) -> dict[str, str]:
        document = self._workflow._document
        environment = {**self._machine, "GITHUB_ENV": str(self._github_env)}
        environment["RUNNER_TEMP"] = str(self._folder)
        for level in (document, self._workflow.jobs[self._job], step):
            values = level.get("env") or {}
            environment |= {
                key: self._workflow.expanded(str(value)) for key, value in values.items()
            }
        for line in self._github_env.read_text().splitlines():
            key, _, value = line.partition("=")
            environment[key] = value
        return environment

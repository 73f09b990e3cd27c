"""The generated Terraform module with the real provider, against the stand-in for Datadog's API.

PURPLEFLEA_TF_PROVIDER is the path of a provider binary (DataDog/datadog). The program is `terraform`, or that of
PURPLEFLEA_TERRAFORM. Nothing is downloaded: the provider is a development override, so no `init` is needed.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.datadog_api import API_KEY, APPLICATION_KEY

PROVIDER = os.environ.get("PURPLEFLEA_TF_PROVIDER", "")
PROGRAM = shutil.which(os.environ.get("PURPLEFLEA_TERRAFORM", "terraform")) or ""
TIMEOUT_S = 240
CHANGES, NO_CHANGES = 2, 0
"""Exit codes of a plan with -detailed-exitcode."""


class TerraformFolder:
    """A root module that uses the generated module, with its state."""

    def __init__(self, folder: Path, module: Path, url: str) -> None:
        self._folder = folder
        self._module = module
        self._url = url
        binaries = folder / "provider"
        binaries.mkdir()
        (binaries / "terraform-provider-datadog").symlink_to(Path(PROVIDER).resolve())
        override = f'dev_overrides {{ "DataDog/datadog" = "{binaries}" }}'
        self._config = folder / "terraform.rc"
        self._config.write_text(f"provider_installation {{\n  {override}\n}}\n")

    def configure(self, **variables: Any) -> None:
        """Write the root module with these variables of the generated module."""
        keys = {"api_key": API_KEY, "app_key": APPLICATION_KEY, "api_url": self._url}
        provider = {**keys, "http_client_retry_enabled": False}
        document = {
            "terraform": {"required_providers": {"datadog": {"source": "DataDog/datadog"}}},
            "provider": {"datadog": provider},
            "module": {"purpleflea": {"source": str(self._module), **variables}},
            "output": {"monitors": {"value": "${module.purpleflea.monitor_ids}"}},
        }
        (self._folder / "main.tf.json").write_text(json.dumps(document))
        self._run("get")

    def apply(self) -> str:
        """Apply the configuration. Raises AssertionError with the output if it fails."""
        return self._run("apply", "-auto-approve", "-input=false")

    def destroy(self) -> str:
        """Remove all objects."""
        return self._run("destroy", "-auto-approve", "-input=false")

    def plan(self) -> tuple[bool, str]:
        """Return whether a plan changes an object, and its output."""
        done = self._call("plan", "-detailed-exitcode", "-input=false")
        assert done.returncode in (CHANGES, NO_CHANGES), done.stdout + done.stderr
        return done.returncode == CHANGES, done.stdout

    def validate(self) -> None:
        """Check the configuration against the schema of the provider."""
        self._run("validate")

    def _run(self, *arguments: str) -> str:
        done = self._call(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "TF_CLI_CONFIG_FILE": str(self._config),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
        }
        return subprocess.run(
            [PROGRAM, *arguments, "-no-color"],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

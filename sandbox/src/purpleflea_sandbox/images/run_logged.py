"""Runs one tool of a build with its output in a log file.

A failure becomes one line that names the log.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.errors import with_log
from purpleflea_sandbox.images.errors import ImageError


def log_file(name: str) -> Path:
    return paths.cache() / "build-logs" / f"{name}.log"


def run(
    argv: Sequence[str], *, log: Path, doing: str, env: Mapping[str, str] | None = None
) -> None:
    """Run the command to completion and append its output to the log.

    Raises ImageError that names the step (`doing`) if the command fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            list(argv),
            env={**os.environ, "PATH": packages.search_path(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise ImageError(str(with_log(f"{doing} failed (exit code {done.returncode})", log)))

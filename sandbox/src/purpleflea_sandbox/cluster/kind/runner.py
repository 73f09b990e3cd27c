"""Runs commands and returns their output.

All programs that the kind provider runs are started here, so that tests can replace them.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str = ""
    err: str = ""


class Runner(Protocol):
    """Runs commands."""

    def run(self, argv: Sequence[str]) -> CommandResult: ...


class SystemRunner:
    """Runner that starts real processes."""

    def run(self, argv: Sequence[str]) -> CommandResult:
        done = subprocess.run(
            list(argv), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return CommandResult(code=done.returncode, out=done.stdout, err=done.stderr)

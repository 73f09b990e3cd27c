"""Runs a command and gives back what it said: the one place where the kind provider touches the
machine's programs, so that its tests can stand in for them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    code: int
    out: str = ""
    err: str = ""


class Runner(Protocol):
    """Something that runs commands."""

    def run(self, argv: Sequence[str]) -> Said: ...


class SystemRunner:
    """Runs them for real."""

    def run(self, argv: Sequence[str]) -> Said:
        done = subprocess.run(
            list(argv), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

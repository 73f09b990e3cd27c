"""Run the tiers of `make test` one after the other and print a table with the seconds of each.

Usage: python tests/tiers.py TIER...     (each TIER is a target of the Makefile)

The tiers after a failed one also run, so that one run finds all failures. The exit code is 1 if a tier failed. The
script does not select tests; that is the task of the targets.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

REPORT_VARIABLE = "PURPLEFLEA_TEST_COUNTS"
"""Path of a file to which each pytest run appends a line: passed, failed and skipped tests (tests/conftest.py)."""
NAMES = ("passed", "failed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Result of one tier."""

    name: str
    seconds: float
    exit_code: int
    counts: tuple[int, ...]


def run_tier(name: str, make: str) -> Tier:
    """Run one target of the Makefile; its output is shown on the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "counts"
        began = time.monotonic()
        exit_code = subprocess.call(
            [make, "--no-print-directory", name],
            env={**os.environ, REPORT_VARIABLE: str(report)},
        )
        return Tier(
            name=name,
            seconds=time.monotonic() - began,
            exit_code=exit_code,
            counts=counts(report.read_text(encoding="utf-8") if report.exists() else ""),
        )


def counts(report: str) -> tuple[int, ...]:
    """Return the sums of the columns of a report; a tier may consist of several pytest runs."""
    rows = [[int(value) for value in line.split()] for line in report.splitlines()]
    return tuple(sum(column) for column in zip(*rows, strict=True))


def table(results: Sequence[Tier]) -> Table:
    """Return the table of all tiers."""
    view = Table(title="make test")
    view.add_column("tier")
    for name in NAMES:
        view.add_column(name, justify="right")
    view.add_column("seconds", justify="right")
    view.add_column("result")
    for tier in results:
        numbers = [str(number) for number in tier.counts] or [""] * len(NAMES)
        result = "failed" if tier.exit_code else "passed"
        view.add_row(tier.name, *numbers, f"{tier.seconds:.0f}", result)
    view.add_section()
    totals = [sum(tier.counts[index] for tier in results if tier.counts) for index in range(3)]
    view.add_row("all", *map(str, totals), f"{sum(tier.seconds for tier in results):.0f}", "")
    return view


def main(tiers: Sequence[str]) -> int:
    """Run the tiers, print the table, and return the exit code."""
    results = [run_tier(name, os.environ.get("MAKE", "make")) for name in tiers]
    sys.stdout.flush()
    Console(width=100).print(table(results))
    return int(any(tier.exit_code for tier in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Report of a benchmark: rows with targets and results, as a table and as a page in docs/benchmarks."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement with its target and its result."""

    measurement: str
    target: str
    result: str
    is_met: bool | None = None
    """None if there is no target."""


def table(title: str, rows: list[Row]) -> Table:
    """Return the rows as a table for a terminal."""
    result = Table(title=title)
    for column in ("measurement", "target", "result", ""):
        result.add_column(column)
    for row in rows:
        result.add_row(row.measurement, row.target, row.result, verdict(row))
    return result


def verdict(row: Row) -> str:
    """Return "met", "MISSED", or an empty string if there is no target."""
    return {True: "met", False: "MISSED", None: ""}[row.is_met]


def write(name: str, title: str, rows: list[Row], *, note: str = "") -> None:
    """Write docs/benchmarks/<name>.md and .json."""
    load = os.getloadavg()[1]
    machine = f"{os.cpu_count()} processors (load {load:.1f}), Python {platform.python_version()}"
    lines = [
        f"# {title}",
        "",
        f"Written by `make bench-{name}` in one run on {machine}, with other load on the machine."
        " Both sides of a ratio alternate in the same run.",
        "",
        "| measurement | target | result | |",
        "|---|---|---|---|",
        *(f"| {row.measurement} | {row.target} | {row.result} | {verdict(row)} |" for row in rows),
        *(["", note] if note else []),
    ]
    DOCS.mkdir(parents=True, exist_ok=True)
    DOCS.joinpath(f"{name}.md").write_text("\n".join(lines) + "\n")
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    DOCS.joinpath(f"{name}.json").write_text(
        json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    )

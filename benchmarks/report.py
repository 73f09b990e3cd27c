"""What a measurement comes to: rows of promised and seen, as a table and as a page of docs/benchmarks."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One promise."""

    what: str
    promised: str
    seen: str
    kept: bool | None = None
    """None where nothing was promised."""


def table(title: str, rows: list[Row]) -> Table:
    """The rows for a terminal."""
    found = Table(title=title)
    for column in ("what", "promised", "seen", ""):
        found.add_column(column)
    for row in rows:
        found.add_row(row.what, row.promised, row.seen, verdict(row))
    return found


def verdict(row: Row) -> str:
    """Whether the promise was kept, in a word."""
    return {True: "kept", False: "MISSED", None: ""}[row.kept]


def write(name: str, title: str, rows: list[Row], *, note: str = "") -> None:
    """Write docs/benchmarks/<name>.md and .json."""
    load = os.getloadavg()[1]
    machine = f"{os.cpu_count()} processors (load {load:.1f}), Python {platform.python_version()}"
    lines = [
        f"# {title}",
        "",
        f"By `make bench-{name}`, in one run on {machine}, with other work on the machine."
        " Ratios compare what ran in turns.",
        "",
        "| what | promised | seen | |",
        "|---|---|---|---|",
        *(f"| {row.what} | {row.promised} | {row.seen} | {verdict(row)} |" for row in rows),
        *(["", note] if note else []),
    ]
    DOCS.mkdir(parents=True, exist_ok=True)
    DOCS.joinpath(f"{name}.md").write_text("\n".join(lines) + "\n")
    told = {"machine": machine, "rows": [asdict(row) for row in rows]}
    DOCS.joinpath(f"{name}.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")

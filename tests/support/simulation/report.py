"""The report about the matrix: docs/benchmarks/faults-operator.md.

All figures are in virtual time, and are rounded, so the page of an unchanged operator does not change.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from support.simulation.faults import BASIC
from support.simulation.hazard import Hazard
from support.simulation.hazards import HAZARDS
from support.simulation.operations import OPERATIONS
from support.simulation.siblings import SIBLINGS

FOUND = Path(__file__).with_name("found.yaml")
FAILED, NO_CELL, NOT_RUN = "🔴", "·", "?"
SLOW_S = (10, 60)
"""Limits of seconds to the end state between the symbols of `DELAYS`."""
DELAYS = ("🟢", "🟡", "🟠")
Measured = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Sequence[Measured]]


def write(file: Path, measured: Sequence[Measured], note: str = "") -> None:
    """Write the report. Cells that were not run are counted and marked as such. `note` describes the run."""
    file.write_text("\n".join(_page(measured, note)), encoding="utf-8")


def _page(measured: Sequence[Measured], note: str) -> Iterable[str]:
    cells: dict[tuple[str, str], list[Measured]] = {}
    for item in measured:
        cells.setdefault((item["hazard"], item["operation"]), []).append(item)
    possible = sum(item.concerns(name) for item in HAZARDS.values() for name in OPERATIONS)
    failed = sum(any(item["problems"] for item in items) for items in cells.values())
    left = possible - len(cells)
    hours = sum(item["virtual_s"] for item in measured) / 3600
    yield from (
        "# The operator under faults",
        "",
        "`make test-faults` runs each operation of a user under each fault, and writes this page. Operator, API",
        "server, StatefulSet controller, kubelets and agents run in one event loop with virtual time, so a cell is",
        "repeatable and takes about a second.",
        "",
        f"**{possible} cells, {len(cells) - failed} passed, {failed} failed"
        + (f", {left} not run**: " if left else "**: ")
        + f"{len(HAZARDS)} faults x {len(OPERATIONS)} operations. The cells of racy faults are run with several seeds, "
        f"{len(measured)} runs in all, {hours:.0f} simulated hours.",
        "",
        *([note, ""] if note else []),
        "A cell passes if",
        "",
        "- all objects are as after the same operation without the fault (the times of acknowledgements may be missing",
        "  if a stopped agent cannot receive the Stop, or if the operator is killed before it reports them),",
        "- no identity has two pods at any moment, in any namespace, and no pod is started more often,",
        "- a halt of another agent, one second after the fault begins, is written within the limit of the row, and a",
        "  halt by the operation itself is too; no agent resumes in the meantime,",
        "- requests, writes, Events and rejected writes are bounded, and an idle operator writes nothing for a minute,",
        "- the operator reports no unexpected exception, and the simulation ends within its limits,",
        "- the fault had an effect on the operation.",
        "",
        f"| symbol | the end state is reached, counted from the end of the fault |\n|---|---|\n"
        f"| {DELAYS[0]} | within {SLOW_S[0]} s |\n| {DELAYS[1]} | within {SLOW_S[1]} s |\n"
        f"| {DELAYS[2]} | later, within the limit of the fault |\n| {FAILED} | a check failed |\n"
        f"| {NO_CELL} | no cell, because the operation sends no request of this kind |\n| {NOT_RUN} | not run |",
        "",
        "## Watches, writes, clocks and leaders",
        "",
    )
    yield from _grid(cells, BASIC, _symbol)
    yield from ("", "## Webhooks, rights, quotas and other controllers", "")
    yield from _grid(cells, SIBLINGS, _symbol)
    yield from (
        "",
        "## Longest delays and most requests of each fault",
        "",
        "The maximum over all operations. A halt counts from the request to the ConfigMap. Requests include the lists",
        "and watches of restarted operators, and exclude those for the lease.",
        "",
        "| fault | halt, s | limit, s | requests | rejected writes | restarts |",
        "|---|---:|---:|---:|---:|---:|",
    )
    yield from _maxima(measured)
    yield from (
        "",
        "## Repeat one cell",
        "",
        "<!-- not run: tests/faults/operator/test_matrix.py runs the cells without a command line -->",
        "```sh",
        "PYTHONHASHSEED=0 PYTHONPATH=tests .venv/bin/python -m support.simulation write-409 halt 1",
        "```",
        "",
        "The arguments are fault, operation and seed. The first two may contain wildcards. The command prints each",
        "check that failed. `tests/faults/operator/test_checks.py` takes fixes out and expects that a check fails.",
        "",
        "## Found and fixed",
        "",
        "| cell | symptom | fix |",
        "|---|---|---|",
    )
    for item in yaml.safe_load(FOUND.read_text(encoding="utf-8")):
        yield f"| {item['cell']} | {item['symptom']} | {item['fix']} |"
    yield ""


def _grid(
    cells: Cells, hazards: Mapping[str, Hazard], symbol: Callable[[Sequence[Measured]], str]
) -> Iterable[str]:
    yield "| fault | " + " | ".join(OPERATIONS) + " |"
    yield "|---|" + ":-:|" * len(OPERATIONS)
    for hazard, item in hazards.items():
        row = (
            symbol(cells.get((hazard, name), ())) if item.concerns(name) else NO_CELL
            for name in OPERATIONS
        )
        yield f"| {hazard} | " + " | ".join(row) + " |"


def _symbol(items: Sequence[Measured]) -> str:
    if not items:
        return NOT_RUN
    if any(item["problems"] for item in items):
        return FAILED
    settled_s = max(item["settled_s"] for item in items)
    return DELAYS[sum(settled_s > limit_s for limit_s in SLOW_S)]


def _maxima(measured: Sequence[Measured]) -> Iterable[str]:
    for name, hazard in HAZARDS.items():
        items = [item for item in measured if item["hazard"] == name]
        if not items:
            continue
        halt_s = max(item["halt_s"] or 0.0 for item in items)
        counts = (
            _rounded(max(item[key] for item in items)) for key in ("requests", "failed", "starts")
        )
        yield f"| {name} | {_seconds(halt_s)} | {hazard.halt_s:g} | " + " | ".join(counts) + " |"


def _seconds(value: float) -> str:
    return "< 1" if value < 1 else f"{5 * -(-value // 5):.0f}"


def _rounded(value: int) -> str:
    """Return a bound: a few requests more or less are no news."""
    step = 1 if value < 10 else 25
    return f"{step * -(-value // step)}" if value < 10 else f"<= {step * -(-value // step)}"


def main(results: str, page: str, note: str = "") -> None:
    """Write the report of the measurements in a file of PURPLEFLEA_FAULTS_RESULTS."""
    from support.simulation.matrix import Results

    write(Path(page), list(Results(Path(results)).known.values()), note)


if __name__ == "__main__":
    main(*sys.argv[1:])

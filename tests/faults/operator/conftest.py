"""Runs the selected cells in all processors. PURPLEFLEA_FAULTS=full runs all of them and writes the report.

With PURPLEFLEA_FAULTS_RESULTS, the measurements are appended to this file, and the cells that it has are not run again.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.simulation import report
from support.simulation.matrix import Cell, Results, Workers

RESULTS = os.environ.get("PURPLEFLEA_FAULTS_RESULTS", "")
IS_FULL = os.environ.get("PURPLEFLEA_FAULTS") == "full"


@pytest.fixture(scope="session")
def measurements_of(
    request: pytest.FixtureRequest, repository: Path
) -> Iterator[Callable[[Cell], dict[str, Any]]]:
    """Return a function that returns the measurements of a cell. All selected cells are started at once."""
    cells = [item.callspec.params["cell"] for item in request.session.items if _has_cell(item)]
    results: dict[Cell, dict[str, Any]] = {}
    stored = Results(Path(RESULTS)) if RESULTS else None
    workers = Workers(dict.fromkeys(cells), stored)

    def measure(cell: Cell) -> dict[str, Any]:
        results[cell] = workers.result(cell)
        return results[cell]

    yield measure
    workers.close()
    if IS_FULL and len(results) == len(cells):
        report.write(repository / "docs/benchmarks/faults-operator.md", list(results.values()))


def _has_cell(item: pytest.Item) -> bool:
    return "cell" in getattr(getattr(item, "callspec", None), "params", {})

"""The cells of the matrix, the short selection of them, and the processes that run them."""

import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, NamedTuple

from support.simulation import clock

clock.install()

from support.simulation import ends, upgrades  # noqa: E402
from support.simulation.cells import as_dict, run_cell  # noqa: E402
from support.simulation.hazards import HAZARDS  # noqa: E402
from support.simulation.identities import MOVES, moved  # noqa: E402
from support.simulation.operations import OPERATIONS  # noqa: E402
from support.simulation.restore import halt_after_restore  # noqa: E402
from support.simulation.standby import (  # noqa: E402
    halt_after_takeover,
    modes_after_takeover_with_an_expired_halt,
    writes_of_a_standby,
)
from support.simulation.storm import halt_in_a_storm  # noqa: E402
from support.simulation.takeover import TAKEOVERS, values_after_release  # noqa: E402

__all__ = [
    "MOVES",
    "TAKEOVERS",
    "Cell",
    "Workers",
    "all_cells",
    "ends",
    "halt_after_restore",
    "halt_after_takeover",
    "halt_in_a_storm",
    "modes_after_takeover_with_an_expired_halt",
    "moved",
    "short_selection",
    "upgrades",
    "values_after_release",
    "writes_of_a_standby",
]


RACY_SEEDS = 3
"""Seeds of each cell whose result depends on random delays."""


class Cell(NamedTuple):
    """One operation under one hazard."""

    hazard: str
    operation: str
    seed: int

    def __str__(self) -> str:
        return f"{self.hazard} x {self.operation} ({self.seed})"


def all_cells(seed: int) -> list[Cell]:
    """Return each operation under each hazard that can have an effect on it, several times if the hazard is racy."""
    return [
        Cell(name, operation, seed + number)
        for operation in OPERATIONS
        for name, hazard in HAZARDS.items()
        if hazard.concerns(operation)
        for number in range(RACY_SEEDS if hazard.is_racy else 1)
    ]


def short_selection(seed: int) -> list[Cell]:
    """Return cells with each hazard once and each operation at least once. The seed selects the pairs."""
    source = random.Random(seed)  # noqa: S311
    used: Counter[str] = Counter()
    chosen: list[Cell] = []
    for name, hazard in sorted(HAZARDS.items(), key=lambda item: len(item[1].only or OPERATIONS)):
        possible = [operation for operation in OPERATIONS if hazard.concerns(operation)]
        source.shuffle(possible)
        operation = min(possible, key=lambda item: used[item])
        used[operation] += 1
        chosen.append(Cell(name, operation, seed))
    return sorted(chosen, key=lambda cell: cell.operation)


def run(cell: Cell) -> dict[str, Any]:
    """Run a cell in this process, and return its measurements."""
    return as_dict(run_cell(*cell))


class Workers:
    """Processes that run cells. The sequence of the cells decides which process has the run without a fault already."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        # The sequence of a set of strings depends on the seed of their hashes.
        os.environ["PYTHONHASHSEED"] = "0"
        self._pool = ProcessPoolExecutor(
            max_workers=os.cpu_count(), mp_context=multiprocessing.get_context("spawn")
        )
        self._futures: dict[Cell, Future[dict[str, Any]]] = {
            cell: self._pool.submit(run, cell) for cell in cells
        }

    def result(self, cell: Cell) -> dict[str, Any]:
        """Wait for a cell, and return its measurements."""
        return self._futures[cell].result()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)

"""The cells of the matrix, the short selection of them, and the processes that run them."""

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from support.simulation import clock

clock.install()

from support.simulation import ends, identities, mounts, unseen, upgrades  # noqa: E402
from support.simulation.cells import as_dict, run_cell  # noqa: E402
from support.simulation.hazards import HAZARDS  # noqa: E402
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
    "TAKEOVERS",
    "Cell",
    "Workers",
    "all_cells",
    "ends",
    "halt_after_restore",
    "halt_after_takeover",
    "halt_in_a_storm",
    "identities",
    "modes_after_takeover_with_an_expired_halt",
    "mounts",
    "short_selection",
    "unseen",
    "upgrades",
    "values_after_release",
    "writes_of_a_standby",
]


RACY_SEEDS = 3
"""Seeds of each cell whose result depends on random delays."""


ALWAYS = [
    # The deleted pods of a list that is empty by mistake are annotated again and again.
    ("watch-410-empty", "connection"),
    # A connection that the StatefulSet refuses is neither reported nor written into the policy with each attempt.
    ("write-403-statefulsets", "connection"),
    # The pods of a stopped agent are searched, which must not end the backoff of its mode.
    ("write-403-configmaps", "stop"),
]
"""Pairs of a hazard and an operation that each selection has, because no other pair has this effect."""


class Cell(NamedTuple):
    """One operation under one hazard."""

    hazard: str
    operation: str
    seed: int

    def __str__(self) -> str:
        return f"{self.hazard} x {self.operation} ({self.seed})"


def all_cells(seed: int) -> list[Cell]:
    """Return each operation under each hazard that can have an effect on it, several times if the hazard is racy.

    The seed shuffles the pairs, and the repetitions follow them, so an interrupted run has a sample of the whole.
    """
    pairs = [
        (name, operation)
        for operation in OPERATIONS
        for name, hazard in HAZARDS.items()
        if hazard.concerns(operation)
    ]
    random.Random(seed).shuffle(pairs)  # noqa: S311
    return [
        Cell(name, operation, seed + number)
        for number in range(RACY_SEEDS)
        for name, operation in pairs
        if number == 0 or HAZARDS[name].is_racy
    ]


def short_selection(seed: int) -> list[Cell]:
    """Return the cells of ALWAYS, and others with each hazard once and each operation at least once.

    The seed selects the pairs of the others.
    """
    source = random.Random(seed)  # noqa: S311
    used: Counter[str] = Counter()
    chosen: list[Cell] = []
    for name, hazard in sorted(HAZARDS.items(), key=lambda item: len(item[1].only or OPERATIONS)):
        possible = [operation for operation in OPERATIONS if hazard.concerns(operation)]
        source.shuffle(possible)
        operation = min(possible, key=lambda item: used[item])
        used[operation] += 1
        chosen.append(Cell(name, operation, seed))
    chosen += {Cell(*pair, seed): None for pair in ALWAYS}.keys() - set(chosen)
    return sorted(chosen, key=lambda cell: (cell.operation, cell.hazard))


def run(cell: Cell) -> dict[str, Any]:
    """Run a cell in this process, and return its measurements."""
    return as_dict(run_cell(*cell))


class Results:
    """Measurements in a file, so that an interrupted run continues. Those of other sources are ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sources = _digest_of_sources()
        self.known: dict[Cell, dict[str, Any]] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            # The last line of a run that was killed can be incomplete.
            with contextlib.suppress(ValueError):
                item = json.loads(line)
                if item["sources"] == self._sources:
                    self.known[Cell(*item["cell"])] = item["measured"]

    def add(self, cell: Cell, measured: dict[str, Any]) -> None:
        """Append the measurements of a cell."""
        self.known[cell] = measured
        item = {"sources": self._sources, "cell": list(cell), "measured": measured}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(item) + "\n")


def _digest_of_sources() -> str:
    """Return a digest of everything that decides the result of a cell."""
    repository = Path(__file__).parents[3]
    folders = ("operator/src", "contract/src", "tests/support")
    files = [file for folder in folders for file in (repository / folder).rglob("*.py")]
    digest = hashlib.sha256()
    for file in sorted(files):
        # The report is written from the results, and changes none.
        if file.name != "report.py":
            digest.update(str(file.relative_to(repository)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


class Workers:
    """Processes that run cells. The sequence of the cells decides which process has the run without a fault already."""

    def __init__(self, cells: Iterable[Cell], results: Results | None = None) -> None:
        self._results = results
        known = {} if results is None else results.known
        # The sequence of a set of strings depends on the seed of their hashes.
        os.environ["PYTHONHASHSEED"] = "0"
        self._pool = ProcessPoolExecutor(
            max_workers=os.cpu_count(), mp_context=multiprocessing.get_context("spawn")
        )
        self._futures: dict[Cell, Future[dict[str, Any]]] = {
            cell: self._pool.submit(run, cell) for cell in cells if cell not in known
        }
        for cell, future in self._futures.items():
            future.add_done_callback(functools.partial(self._store, cell))

    def _store(self, cell: Cell, future: Future[dict[str, Any]]) -> None:
        if self._results is not None and not future.cancelled() and future.exception() is None:
            self._results.add(cell, future.result())

    def result(self, cell: Cell) -> dict[str, Any]:
        """Wait for a cell, and return its measurements."""
        if cell not in self._futures and self._results is not None:
            return self._results.known[cell]
        return self._futures[cell].result()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)

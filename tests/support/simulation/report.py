"""The report about the matrix: docs/benchmarks/faults-operator.md and .json."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from support.simulation.faults import HAZARDS
from support.simulation.operations import OPERATIONS

FOUND = Path(__file__).with_name("found.yaml")
Measured = Mapping[str, Any]


def write(folder: Path, measured: Sequence[Measured], seed: int) -> None:
    """Write the report of a complete run."""
    text = "\n".join(_page(measured, seed))
    (folder / "faults-operator.md").write_text(text, encoding="utf-8")
    kept = [{k: v for k, v in item.items() if k != "real_s"} for item in measured]
    body = {"seed": seed, "cells": kept}
    (folder / "faults-operator.json").write_text(
        json.dumps(body, indent=1) + "\n", encoding="utf-8"
    )


def _page(measured: Sequence[Measured], seed: int) -> Iterable[str]:
    cells = {(item["hazard"], item["operation"]): item for item in measured}
    failed = sum(bool(item["problems"]) for item in measured)
    minutes = sum(item["virtual_s"] for item in measured) / 60
    seconds = sum(item["real_s"] for item in measured)
    yield from (
        "# The operator under faults",
        "",
        "`make test-faults` runs each operation of a user under each fault, and writes this page. Operator, API",
        "server, StatefulSet controller, kubelets and agents run in one event loop with virtual time, so a run is",
        "repeatable. Each cell compares all objects with those after a run without the fault. It checks that no",
        "identity has two pods, that no pod starts more often, that a halt of another agent is served within its",
        "limit, that the requests are bounded, and that an idle operator writes nothing.",
        "",
        f"{len(measured)} cells, {failed} failed; {minutes:.0f} simulated minutes in {seconds:.0f} s "
        f"of two processes or more; seed {seed}.",
        "",
        "## Seconds to the end state",
        "",
        "Seconds from the end of the fault until all objects are as after the run without it. Faults of watches last",
        "45 s or more, those of writes 20 s or more. `x` is a failed cell.",
        "",
    )
    yield from _grid(cells, lambda item: f"{item['settled_s']:.0f}")
    yield from (
        "",
        "## Seconds to a halt",
        "",
        "Seconds from the request to halt another agent, one second after the fault begins, until its ConfigMap has",
        "the mode. The last column is the limit.",
        "",
    )
    yield from _grid(
        cells, lambda item: f"{item['halt_s']:.1f}", limit=lambda name: HAZARDS[name].halt_s
    )
    yield from (
        "",
        "## Requests",
        "",
        "Requests of the operator from the start of the fault to the end state, without those for its lease: all",
        "requests / writes that changed an object / writes that changed nothing / writes that failed.",
        "",
    )
    yield from _grid(
        cells,
        lambda item: "/".join(
            str(item[name]) for name in ("requests", "writes", "unchanged", "failed")
        ),
    )
    yield from ("", "## Found and fixed", "")
    for item in yaml.safe_load(FOUND.read_text(encoding="utf-8")):
        yield f"- **{item['cell']}**: {item['symptom']} {item['fix']}"
    yield ""


def _grid(cells: Mapping[tuple[str, str], Measured], text: Any, limit: Any = None) -> Iterable[str]:
    names = list(OPERATIONS)
    head = ["fault", *names, *(["limit"] if limit else [])]
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for hazard in HAZARDS:
        row = [hazard]
        for name in names:
            item = cells.get((hazard, name))
            row.append("" if item is None else "x" if item["problems"] else text(item))
        if limit:
            row.append(f"{limit(hazard):g}")
        yield "| " + " | ".join(row) + " |"

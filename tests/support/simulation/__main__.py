"""Runs cells: python -m support.simulation [HAZARD] [OPERATION] [SEED]; the first two may contain wildcards."""

import json
import os
import sys
from fnmatch import fnmatch

from support.simulation import clock

clock.install()

from support.simulation.cells import as_dict, run_cell  # noqa: E402
from support.simulation.matrix import all_cells  # noqa: E402

RESULTS = os.environ.get("PURPLEFLEA_FAULTS_RESULTS", "")
"""File to which the measurements are appended."""


def main(hazards: str = "*", operations: str = "*", seed: str = "1") -> int:
    failed = 0
    pairs = dict.fromkeys((cell.hazard, cell.operation) for cell in all_cells(1))
    for hazard, operation in pairs:
        if fnmatch(hazard, hazards) and fnmatch(operation, operations):
            found = run_cell(hazard, operation, int(seed))
            failed += bool(found.problems)
            if RESULTS:
                with open(RESULTS, "a", encoding="utf-8") as file:
                    file.write(json.dumps(as_dict(found)) + "\n")
            print(
                f"{'FAIL' if found.problems else 'ok  '} {hazard} x {operation}: "
                f"settled {found.settled_s:.0f} s, halt {found.halt_s} {found.own_halt_s}, hits {found.hits}, "
                f"requests {found.requests}, "
                f"writes {found.writes} + {found.unchanged} unchanged + {found.failed} failed, "
                f"events {found.events}, starts {found.starts}, "
                f"{found.virtual_s:.0f} s in {found.real_s:.1f} s",
                flush=True,
            )
            for problem in found.problems:
                print("     ", problem[:600])
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

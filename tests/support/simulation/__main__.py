"""Runs cells: python -m support.simulation [HAZARD] [OPERATION], each may contain wildcards."""

import sys
from fnmatch import fnmatch

from support.simulation import clock

clock.install()

from support.simulation.cells import run_cell  # noqa: E402
from support.simulation.faults import HAZARDS  # noqa: E402
from support.simulation.operations import OPERATIONS  # noqa: E402


def main(hazards: str = "*", operations: str = "*", seed: str = "1") -> int:
    failed = 0
    for hazard in HAZARDS:
        for operation in OPERATIONS:
            if not (fnmatch(hazard, hazards) and fnmatch(operation, operations)):
                continue
            found = run_cell(hazard, operation, int(seed))
            failed += bool(found.problems)
            print(
                f"{'FAIL' if found.problems else 'ok  '} {hazard} x {operation}: "
                f"settled {found.settled_s:.0f} s, halt {found.halt_s}, requests {found.requests}, "
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

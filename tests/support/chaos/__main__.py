"""Run a plan, and write its report with `--report FILE`: PYTHONPATH=tests python -m support.chaos --agents 20."""

import argparse
import sys
from pathlib import Path

from support.chaos import report
from support.chaos.plan import Plan
from support.chaos.run import run_groups


def main() -> int:
    """Run the plan of the command line; fail if an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="support.chaos")
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--operations", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--group", type=int, default=2, help="agents per exchange")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    plan = Plan(seed=given.seed, agents=given.agents, operations=given.operations)
    result = run_groups(plan, size=given.group, progress=lambda line: print(line, flush=True))
    if given.report:
        report.write(given.report, result)
    for violation in result.violations:
        print(violation)
    print(f"{result.operations} operations, {len(result.violations)} violations")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())

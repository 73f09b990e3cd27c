"""What of the operator decides without I/O, as arguments for pytest-cov: the list that import-linter enforces."""

import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CONTRACT = "Pure layers of the operator do no I/O"


def modules() -> list[str]:
    """Names of the pure packages and modules."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    found: list[str] = next(one["source_modules"] for one in contracts if one["name"] == CONTRACT)
    return found


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"--cov={name}" for name in modules()))

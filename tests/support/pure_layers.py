"""The pure folders of the operator as arguments for pytest-cov: the list that import-linter enforces."""

import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "operator" / "src"
CONTRACT = "Pure folders of the operator do no I/O"


def modules() -> list[str]:
    """Return the names of the pure packages and modules, with the wildcards of import-linter expanded."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    patterns: list[str] = next(
        item["source_modules"] for item in contracts if item["name"] == CONTRACT
    )
    return [name for pattern in patterns for name in _expanded(pattern)]


def _expanded(pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern]
    folders = sorted(SOURCES.glob(pattern.replace(".", "/")))
    return [".".join(folder.relative_to(SOURCES).parts) for folder in folders if folder.is_dir()]


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"--cov={name}" for name in modules()))

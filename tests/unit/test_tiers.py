import subprocess
import sys
from pathlib import Path

import pytest

import tiers

MAKEFILE = """
good:
\t@echo "3 0 1" >> $$PURPLEFLEA_TEST_COUNTS
\t@echo "2 0 0" >> $$PURPLEFLEA_TEST_COUNTS
quiet:
\t@true
bad:
\t@echo "1 2 0" >> $$PURPLEFLEA_TEST_COUNTS; exit 3
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "Makefile").write_text(MAKEFILE, encoding="utf-8")

    def run(*names: str) -> tuple[int, dict[str, list[str]]]:
        done = subprocess.run(
            [sys.executable, Path(tiers.__file__), *names],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        rows = [
            line.strip().strip("│").split("│") for line in done.stdout.splitlines() if "│" in line
        ]
        cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
        return done.returncode, cells

    return run


def test_the_table_adds_up_the_pytest_runs_of_a_tier(run):
    code, rows = run("good", "quiet")
    assert code == 0
    assert rows["good"] == ["5", "0", "1", "0", "passed"]
    assert rows["quiet"] == ["", "", "", "0", "passed"]
    assert rows["all"] == ["5", "0", "1", "0", ""]


def test_the_tiers_after_a_failed_one_also_run(run):
    code, rows = run("good", "bad", "quiet")
    assert code == 1
    assert rows["bad"] == ["1", "2", "0", "0", "failed"]
    assert rows["quiet"] == ["", "", "", "0", "passed"]
    assert rows["all"] == ["6", "2", "1", "0", ""]

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def nothing_of_datadog_is_inherited() -> Iterator[None]:
    """What is set for sending the results of the tests must not reach the programs that are tested."""
    ours = ("DD_", "_DD_")
    found = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith(ours)}
    yield
    os.environ.update(found)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Report the counts of this run to `make test`, which prints them in its table (tests/tiers.py)."""
    path = os.environ.get("PURPLEFLEA_TEST_COUNTS")
    if path is None or hasattr(config, "workerinput"):
        return
    stats = terminalreporter.stats
    passed, skipped = len(stats.get("passed", [])), len(stats.get("skipped", []))
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    with Path(path).open("a", encoding="utf-8") as report:
        report.write(f"{passed} {failed} {skipped}\n")

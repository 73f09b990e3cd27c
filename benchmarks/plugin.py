"""Start of the kubectl plugin: `make bench-plugin` writes docs/benchmarks/plugin.md."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 30
PROMISE_MS = 150
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "plugin.md"
_ARGV = (str(Path(sys.executable).parent / "kubectl-purpleflea"), "--help")


def measured(argv: tuple[str, ...]) -> list[tuple[float, float]]:
    """Return the elapsed time and the CPU time of each run, in milliseconds."""
    found = []
    for _ in range(RUNS):
        started = time.perf_counter()
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        elapsed = time.perf_counter() - started
        found.append((1000 * elapsed, 1000 * (usage.ru_utime + usage.ru_stime)))
    return found


def page(plugin: list[tuple[float, float]], python: list[tuple[float, float]]) -> str:
    """Return the page."""

    def row(name: str, runs: list[tuple[float, float]]) -> str:
        elapsed, cpu = [item[0] for item in runs], [item[1] for item in runs]
        cells = (min(elapsed), statistics.median(elapsed), min(cpu), statistics.median(cpu))
        return f"| {name} | {' | '.join(f'{value:.0f}' for value in cells)} |\n"

    return (
        "# Start of the kubectl plugin\n\n"
        f"`make bench-plugin` writes this page: {RUNS} runs each, in milliseconds. The promise for `--help` is "
        f"{PROMISE_MS} ms.\nThe elapsed time includes the wait for a processor; the load of this machine was "
        f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} processors.\n\n"
        "| command | elapsed, min | median | CPU, min | median |\n|---|---|---|---|---|\n"
        + row("`kubectl-purpleflea --help`", plugin)
        + row("an empty Python program", python)
    )


if __name__ == "__main__":
    text = page(measured(_ARGV), measured((sys.executable, "-c", "pass")))
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)

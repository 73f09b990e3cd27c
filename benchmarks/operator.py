"""Benchmark of the operator (make bench-operator): requests per agent, and the cost of each kind of write.

    python -m benchmarks.operator

Each row has a target and the measured result. The exit code is always 0, because machines differ. Both sides of a ratio
are measured in the same run.
"""

import os

from rich.console import Console

from benchmarks import fleets, report, writes
from benchmarks.fleets import Phase
from benchmarks.report import Row

TITLE = "Requests of the operator, and the cost of writes"
AGENTS = int(os.environ.get("BENCH_AGENTS", "1000"))
ROUNDS = int(os.environ.get("BENCH_TURNS", "6"))
EACH = 50
CHILDREN_AND_STATUSES = 5
NOTE = """The requests are counted at a fake API server, so there are no times and no memory. [scale.md](scale.md)
has these, measured at a real API server.

The operator creates children with server-side apply. A POST costs the API server less, but then the operator
owns the fields twice, as Apply and as Update, so a later apply that omits a field does not remove it. Removing the
second ownership would need another write per child, which costs more than a POST saves."""


def main() -> None:
    """Run the benchmark, print the table and write docs/benchmarks."""
    console = Console()
    results = writes.measure(ROUNDS, EACH * 2)
    rows = [*_costs(results), *_ownership(results)]
    with console.status(f"{AGENTS} agents"):
        rows += _fleet(fleets.measure(AGENTS))
    console.print(report.table(TITLE, rows))
    report.write("operator", TITLE, rows, note=NOTE)


def _costs(results: writes.Measurements) -> list[Row]:
    rows = []
    for kind in ("StatefulSet", "ConfigMap"):
        post = results.costs[kind, "POST"]
        for method in ("POST", "apply, new", "apply, no change", "apply, changed"):
            cost = results.costs[kind, method]
            ratio = f"{cost.cpu_ms / post.cpu_ms:.2f} of a POST" if method != "POST" else ""
            result = f"{cost.cpu_ms:.1f} ms CPU of the API server; p50 {cost.p50_ms:.1f} ms"
            rows.append(
                Row(
                    measurement=f"{kind}: {method}",
                    target="reported",
                    result=f"{result} {ratio}".strip(),
                )
            )
    return rows


def _ownership(results: writes.Measurements) -> list[Row]:
    rows = []
    for method, ownership in results.ownership.items():
        label = "stays" if ownership.label_stays else "is removed"
        result = f"owned by {', '.join(ownership.managers)}; a label that the apply omits {label}"
        is_ours = method == "apply"
        target = "one manager; removed" if is_ours else "reported"
        is_met = (len(ownership.managers) == 1 and not ownership.label_stays) if is_ours else None
        rows.append(
            Row(
                measurement=f"created by {method}, applied afterwards",
                target=target,
                result=result,
                is_met=is_met,
            )
        )
    return rows


def _fleet(results: dict[str, Phase]) -> list[Row]:
    created, changed = f"{AGENTS} agents created", "settings of all agents changed"
    return [
        _writes(f"{created}: writes per agent", results["created"], CHILDREN_AND_STATUSES),
        _reads(created, results["created"]),
        _writes(f"{fleets.IDLE_S:.0f} s idle: writes", results["idle"], 0),
        _writes(f"{changed}: writes per agent", results["changed"], 2),
        _reads(changed, results["changed"]),
        _writes("a restart: writes", results["restarted"], 0),
        Row(
            measurement="a restart: pages of lists",
            target="reported",
            result=str(results["restarted"].lists),
        ),
    ]


def _writes(measurement: str, phase: Phase, target: int) -> Row:
    each = sum(phase.writes.values()) / AGENTS
    kinds = ", ".join(
        f"{kind} {number / AGENTS:.2f}" for kind, number in sorted(phase.writes.items())
    )
    result = f"{each:.2f} ({kinds})" if kinds else "0"
    return Row(measurement=measurement, target=f"<= {target}", result=result, is_met=each <= target)


def _reads(measurement: str, phase: Phase) -> Row:
    return Row(
        measurement=f"{measurement}: reads of single objects per agent",
        target="reported",
        result=f"{phase.reads / AGENTS:.2f}",
    )


if __name__ == "__main__":
    main()

"""Benchmark of the operator (make bench-operator): cost of agents and cost of writes at an API server.

    python -m benchmarks.operator

Each row has a target and the measured result. The exit code is always 0, because machines differ. Both sides of a ratio
are measured in the same run.
"""

import os

from rich.console import Console

from benchmarks import fleets, report, writes
from benchmarks.fleets import Phase
from benchmarks.report import Row

TITLE = "The operator, measured"
AGENTS = int(os.environ.get("BENCH_AGENTS", "1000"))
ROUNDS = int(os.environ.get("BENCH_TURNS", "6"))
EACH = 50
CHILDREN_AND_STATUSES = 5
NOTE = """The operator creates children with server-side apply. A POST costs the API server less, but then the operator
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
    created, idle = results["created"], results["idle"]
    return [
        _writes(f"{AGENTS} agents created: writes per agent", created, CHILDREN_AND_STATUSES),
        _cpu(f"{AGENTS} agents created", created),
        _queue(f"{AGENTS} agents created: the work queue", created),
        Row(
            measurement=f"memory with {AGENTS} agents",
            target="<= 256 MiB",
            result=f"{created.peak_mib:.0f} MiB at most, {idle.resident_mib:.0f} MiB afterwards",
            is_met=created.peak_mib <= 256,
        ),
        _writes(f"{idle.seconds:.0f} s idle: writes", idle, 0),
        Row(
            measurement="idle: CPU",
            target="reported",
            result=f"{idle.cpu_s / idle.seconds * 100:.2f} % of one CPU",
        ),
        _writes("settings of all agents changed: writes per agent", results["changed"], 2),
        _cpu("settings of all agents changed", results["changed"]),
        _writes("a restart: writes", results["restarted"], 0),
        _cpu("a restart", results["restarted"]),
    ]


def _writes(measurement: str, phase: Phase, target: int) -> Row:
    each = sum(phase.writes.values()) / AGENTS
    kinds = ", ".join(
        f"{kind} {number / AGENTS:.2f}" for kind, number in sorted(phase.writes.items())
    )
    result = f"{each:.2f} ({kinds})" if kinds else "0"
    return Row(measurement=measurement, target=f"<= {target}", result=result, is_met=each <= target)


def _cpu(measurement: str, phase: Phase) -> Row:
    each = phase.cpu_s / AGENTS * 1000
    reads = f"{phase.reads / AGENTS:.2f} reads of single objects"
    result = f"{each:.2f} ms, {reads} (in {phase.seconds:.1f} s in total)"
    return Row(
        measurement=f"{measurement}: CPU of the operator per agent",
        target="reported",
        result=result,
    )


def _queue(measurement: str, phase: Phase) -> Row:
    result = f"at most {phase.deepest} queued, none after {phase.seconds:.1f} s"
    return Row(measurement=measurement, target="reported", result=result)


if __name__ == "__main__":
    main()

"""make bench-operator: what agents cost the operator, and what its writes cost an API server; into docs/benchmarks.

    python -m benchmarks.operator

A row says what was promised and what was seen; it exits 0 either way, as machines differ. Ratios are of one run.
"""

import os

from rich.console import Console

from benchmarks import fleets, report, writes
from benchmarks.fleets import Phase
from benchmarks.report import Row

TITLE = "The operator, measured"
AGENTS = int(os.environ.get("BENCH_AGENTS", "1000"))
TURNS = int(os.environ.get("BENCH_TURNS", "6"))
EACH = 50
CHILDREN_AND_STATUSES = 5
NOTE = """Children are made by server-side apply. A POST costs the API server less, but its fields belong to the
operator a second time, as an Update: what a later apply leaves out then stays where it is. Taking that
ownership back would be one more write per child, more than a POST saves."""


def main() -> None:
    """Measure, print, write."""
    console = Console()
    found = writes.measured(TURNS, EACH * 2)
    rows = [*_costs(found), *_ownership(found)]
    with console.status(f"{AGENTS} agents"):
        rows += _fleet(fleets.measured(AGENTS))
    console.print(report.table(TITLE, rows))
    report.write("operator", TITLE, rows, note=NOTE)


def _costs(found: writes.Found) -> list[Row]:
    rows = []
    for kind in ("StatefulSet", "ConfigMap"):
        post = found.costs[kind, "POST"]
        for way in ("POST", "apply, new", "apply, no change", "apply, changed"):
            cost = found.costs[kind, way]
            ratio = f"{cost.cpu_ms / post.cpu_ms:.2f} of a POST's" if way != "POST" else ""
            seen = f"{cost.cpu_ms:.1f} ms of the API server's processor; p50 {cost.p50_ms:.1f} ms"
            rows.append(
                Row(what=f"{kind}: {way}", promised="stated", seen=f"{seen} {ratio}".strip())
            )
    return rows


def _ownership(found: writes.Found) -> list[Row]:
    rows = []
    for way, said in found.ownership.items():
        stays = "stays" if said.label_stays else "is gone"
        seen = f"owned by {', '.join(said.managers)}; a label that the apply left out {stays}"
        ours = way == "apply"
        promised = "one manager; gone" if ours else "stated"
        kept = (len(said.managers) == 1 and not said.label_stays) if ours else None
        rows.append(
            Row(what=f"made by {way}, applied afterwards", promised=promised, seen=seen, kept=kept)
        )
    return rows


def _fleet(found: dict[str, Phase]) -> list[Row]:
    made, idle = found["made"], found["idle"]
    return [
        _writes(f"{AGENTS} agents made: writes per agent", made, CHILDREN_AND_STATUSES),
        _spent(f"{AGENTS} agents made", made),
        _line(f"{AGENTS} agents made: the line", made),
        Row(
            what=f"memory with {AGENTS} agents",
            promised="<= 256 MiB",
            seen=f"{made.peak_mib:.0f} MiB at most, {idle.resident_mib:.0f} MiB afterwards",
            kept=made.peak_mib <= 256,
        ),
        _writes(f"{idle.seconds:.0f} s of idling: writes", idle, 0),
        Row(
            what="idling: processor",
            promised="stated",
            seen=f"{idle.cpu_s / idle.seconds * 100:.2f} % of one",
        ),
        _writes("settings of all agents changed: writes per agent", found["changed"], 2),
        _spent("settings of all agents changed", found["changed"]),
        _writes("a restart: writes", found["restarted"], 0),
        _spent("a restart", found["restarted"]),
    ]


def _writes(what: str, phase: Phase, promised: int) -> Row:
    each = sum(phase.writes.values()) / AGENTS
    kinds = ", ".join(
        f"{kind} {number / AGENTS:.2f}" for kind, number in sorted(phase.writes.items())
    )
    seen = f"{each:.2f} ({kinds})" if kinds else "0"
    return Row(what=what, promised=f"<= {promised}", seen=seen, kept=each <= promised)


def _spent(what: str, phase: Phase) -> Row:
    each = phase.cpu_s / AGENTS * 1000
    reads = f"{phase.reads / AGENTS:.2f} reads of single objects"
    seen = f"{each:.2f} ms, {reads} (in {phase.seconds:.1f} s, all told)"
    return Row(what=f"{what}: the operator's processor per agent", promised="stated", seen=seen)


def _line(what: str, phase: Phase) -> Row:
    seen = f"{phase.deepest} in line at most, none after {phase.seconds:.1f} s"
    return Row(what=what, promised="stated", seen=seen)


if __name__ == "__main__":
    main()

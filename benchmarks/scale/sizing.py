"""Recommended resources of the operator by number of agents, derived from the measured peaks. Pure."""

import math
from collections.abc import Sequence

from benchmarks.scale.promises import ours, peak_mib
from benchmarks.scale.results import Run

REQUEST_FACTOR, LIMIT_FACTOR = 1.1, 1.5
STEP_MIB = 32
TEXT = """\
The memory is that of one replica. The request is {request:g} times, and the limit {limit:g} times the largest measured
resident set of all phases, rounded up to {step} MiB. The kernel kills a container that exceeds its limit, so do not set
a lower one. A standby uses less, but needs the same limit, because it can lead at any time."""


def section(runs: Sequence[Run]) -> str:
    """Return the table with its explanation; empty without runs of the operator."""
    rows = [
        f"| {run.agents:,} | {peak_mib(run):.0f} MiB | {_rounded(peak_mib(run) * REQUEST_FACTOR)}Mi "
        f"| {_rounded(peak_mib(run) * LIMIT_FACTOR)}Mi | {_cpu(run)} |"
        for run in ours(runs)
    ]
    if not rows:
        return ""
    header = [
        "| agents | largest memory | `resources.requests.memory` | `resources.limits.memory` | CPU s at the creation |",
        "| --- | --- | --- | --- | --- |",
    ]
    text = TEXT.format(request=REQUEST_FACTOR, limit=LIMIT_FACTOR, step=STEP_MIB)
    return "\n".join([text, "", *header, *rows])


def _rounded(mib: float) -> int:
    return math.ceil(mib / STEP_MIB) * STEP_MIB


def _cpu(run: Run) -> str:
    phase = run.phase("create")
    return "" if phase is None else f"{phase.cpu_s['operator']:.1f}"

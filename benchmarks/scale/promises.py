"""The promises about speed and size, and whether the results meet them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.report import Row
from benchmarks.scale.figures import Fit, linear_fit
from benchmarks.scale.results import Phase, Run, Variant

RAW_SHARE, API_CPU_RATIO, OPERATOR_CPU_MS = 0.5, 2.0, 12.0
PEAK_MIB = {1000: 200.0, 10_000: 256.0}
LAG_S, WAIT_S = 0.05, 1.0
TAKEOVER_S = 15.0
HALT_ONE_S = 1.0
HALT_ALL_AGENTS, HALT_ALL_WRITTEN_S, HALT_ALL_ACKNOWLEDGED_S = 1000, 10.0, 30.0
RESIDUAL = 0.25
"""A growth is called linear if no size is further from the fitted line than this."""
MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """Cost of the creation with one variant at one size. If a variant ran twice, the mean."""

    per_s: float
    api_cpu_ms: float
    """CPU time of the API server per agent."""
    operator_cpu_ms: float
    """CPU time of the operator per agent."""


def sizes(runs: Iterable[Run]) -> list[int]:
    """Return the measured sizes, ascending."""
    return sorted({run.agents for run in runs})


def creation(runs: Sequence[Run], variant: Variant, agents: int) -> Creation | None:
    """Return the cost of the creation; None if it was not measured."""
    phases = [
        phase
        for run in runs
        if run.variant == variant and run.agents == agents and (phase := run.phase("create"))
    ]
    if not phases:
        return None
    seconds = fmean(phase.seconds for phase in phases)
    return Creation(
        per_s=agents / seconds,
        api_cpu_ms=MS * fmean(phase.cpu_s["API server"] for phase in phases) / agents,
        operator_cpu_ms=MS * fmean(phase.cpu_s.get("operator", 0.0) for phase in phases) / agents,
    )


def ours(runs: Iterable[Run]) -> list[Run]:
    """Return the runs of the project's operator, by size."""
    return sorted((run for run in runs if run.variant == "ours"), key=lambda run: run.agents)


def peak_mib(run: Run) -> float:
    """Return the largest resident set of all phases."""
    return max((phase.peak_mib for phase in run.phases), default=0.0)


def growth(runs: Sequence[Run]) -> dict[str, Fit]:
    """Return the fits of the measurements that should grow linearly with the number of agents."""
    created = [(run, phase) for run in ours(runs) if (phase := run.phase("create"))]
    points: dict[str, list[tuple[float, float]]] = {
        "seconds until all are Ready": [(run.agents, phase.seconds) for run, phase in created],
        "CPU seconds of the operator at the creation": [
            (run.agents, phase.cpu_s["operator"]) for run, phase in created
        ],
        "CPU seconds of the API server at the creation": [
            (run.agents, phase.cpu_s["API server"]) for run, phase in created
        ],
        "MiB of the operator": [(run.agents, peak_mib(run)) for run in ours(runs)],
    }
    return {name: fit for name, known in points.items() if (fit := linear_fit(known)) is not None}


def promises(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each promise that can be checked with these runs."""
    rows: list[Row] = []
    for agents in sizes(runs):
        rows += _against_raw(runs, agents)
    for run in ours(runs):
        rows += _failed(run)
        if run.phase("create") is None:
            continue
        rows += [*_size(run), *_writes(run), *_halts(run), *_takeover(run)]
    rows += [
        Row(
            measurement=f"growth: {name}",
            target=f"linear (no size further than {RESIDUAL:.0%} from the line)",
            result=f"{fit.slope * 1000:.3g} per 1,000 agents + {fit.intercept:.3g}; residuals "
            + ", ".join(f"{item:+.0%}" for item in fit.residuals),
            is_met=fit.worst <= RESIDUAL,
        )
        for name, fit in growth(runs).items()
    ]
    return rows


def _against_raw(runs: Sequence[Run], agents: int) -> list[Row]:
    measured, raw = creation(runs, "ours", agents), creation(runs, "raw", agents)
    if measured is None:
        return []
    rows = [
        Row(
            measurement=f"{agents:,} agents created: CPU of the operator per agent",
            target=f"<= {OPERATOR_CPU_MS:g} ms",
            result=f"{measured.operator_cpu_ms:.1f} ms",
            is_met=measured.operator_cpu_ms <= OPERATOR_CPU_MS,
        )
    ]
    if raw is None:
        return rows
    share, ratio = measured.per_s / raw.per_s, measured.api_cpu_ms / raw.api_cpu_ms
    return [
        Row(
            measurement=f"{agents:,} agents created, in relation to raw StatefulSets",
            target=f">= {RAW_SHARE:g}",
            result=f"{share:.2f} ({measured.per_s:.1f}/s of {raw.per_s:.1f}/s)",
            is_met=share >= RAW_SHARE,
        ),
        Row(
            measurement=f"{agents:,} agents created: CPU of the API server, in relation to raw StatefulSets",
            target=f"<= {API_CPU_RATIO:g}",
            result=f"{ratio:.2f} ({measured.api_cpu_ms:.0f} ms and {raw.api_cpu_ms:.0f} ms per agent)",
            is_met=ratio <= API_CPU_RATIO,
        ),
        *rows,
    ]


def _failed(run: Run) -> list[Row]:
    if not run.failure:
        return []
    return [
        Row(
            measurement=f"{run.agents:,} agents: all phases complete",
            target="yes",
            result=run.failure[:200].replace("\n", " "),
            is_met=False,
        )
    ]


def _size(run: Run) -> list[Row]:
    peak, limit = peak_mib(run), PEAK_MIB.get(run.agents)
    lags = [(phase.own_lag_p99_s, phase) for phase in run.phases if phase.own_lag_p99_s is not None]
    rows = [
        Row(
            measurement=f"{run.agents:,} agents: largest memory of the operator, restart included",
            target=f"<= {limit:g} MiB" if limit else "reported",
            result=f"{peak:.0f} MiB",
            is_met=None if limit is None else peak <= limit,
        )
    ]
    if lags:
        lag_s, phase = max(lags, key=lambda item: item[0])
        rows.append(
            Row(
                measurement=f"{run.agents:,} agents: own part of the event-loop lag, p99 of the worst phase",
                target=f"< {LAG_S * MS:g} ms",
                result=f"{lag_s * MS:.0f} ms ({phase.name}{_waited(phase)})",
                is_met=lag_s < LAG_S,
            )
        )
    return rows


def _waited(phase: Phase) -> str:
    """Return the whole lag, and how much of the phase the operator was ready to run and had no processor."""
    if phase.waited_s is None or phase.lag_p99_s is None or phase.waited_s < WAIT_S:
        return ""
    whole = f"{phase.lag_p99_s * MS:.0f} ms"
    return f"; {whole} with {phase.waited_s:.0f} of {phase.seconds:.0f} s of waits for a processor"


def _writes(run: Run) -> list[Row]:
    return [
        Row(
            measurement=f"{run.agents:,} agents, {phase.name}: writes",
            target="0",
            result=str(phase.writes),
            is_met=phase.writes == 0,
        )
        for phase in run.phases
        if phase.name.startswith(("idle", "restart"))
    ]


def _halts(run: Run) -> list[Row]:
    rows = [
        _latency(run, phase, "written", HALT_ONE_S)
        for phase in run.phases
        if phase.name.startswith("halt one")
    ]
    if (phase := run.phase("halt all by one resource")) is None:
        return rows
    is_promised = run.agents == HALT_ALL_AGENTS
    for key, limit_s in (
        ("written", HALT_ALL_WRITTEN_S),
        ("acknowledged", HALT_ALL_ACKNOWLEDGED_S),
    ):
        longest = phase.latencies[key].longest
        rows.append(
            Row(
                measurement=f"{run.agents:,} agents halted by one PurpleFleaHalt: all {key}",
                target=f"< {limit_s:g} s" if is_promised else "reported",
                result=f"{longest:.1f} s",
                is_met=longest < limit_s if is_promised else None,
            )
        )
    return rows


def _latency(run: Run, phase: Phase, key: str, limit_s: float) -> Row:
    found = phase.latencies[key]
    return Row(
        measurement=f"{run.agents:,} agents, {phase.name}: p99 until the mode is {key}",
        target=f"< {limit_s:g} s",
        result=f"{found.p99:.2f} s (median {found.p50:.2f} s, {found.count} halts)",
        is_met=found.p99 < limit_s,
    )


def _takeover(run: Run) -> list[Row]:
    phase = run.phase("takeover")
    if phase is None:
        return []
    longest = phase.latencies["written"].longest
    return [
        Row(
            measurement=f"{run.agents:,} agents: kill -9 of the leader until a halt is written",
            target=f"<= {TAKEOVER_S:g} s",
            result=f"{longest:.1f} s",
            is_met=longest <= TAKEOVER_S,
        )
    ]

"""The page docs/benchmarks/scale.md and its charts, rendered from the results. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.report import verdict
from benchmarks.scale import plots, promises, sizing
from benchmarks.scale.results import Phase, Run, Variant

TITLE = "The operator on a real API server"
NAMES: dict[Variant, str] = {
    "raw": "raw StatefulSets",
    "ours": "the operator",
    "baseline": "baseline in Go",
}
METHOD = """\
## Method

Written by `make bench-scale`. Each run has a new control plane on this machine: kube-apiserver, etcd,
kube-controller-manager and kube-scheduler of Kubernetes {version}, with the limits of the controller manager and the
scheduler raised to 500 requests per second. kwok simulates the nodes.

- **Raw StatefulSets** are the upper bound: 32 concurrent clients apply the StatefulSet that the operator would create,
  without the operator. At each size they run before and after the others, and the mean counts.
- **The operator** runs as one process with the settings and the permissions of the chart, and is elected by a Lease.
- **The baseline in Go** (`benchmarks/baseline`) is a controller-runtime operator that creates the same children and
  reports one condition. It has no control lane, no acknowledgements and no telemetry.
- The objects are created by 32 concurrent clients with server-side apply. A phase ends when the benchmark receives the
  expected state of each object through a watch.
- Requests are counted in the audit log of the API server, by user. CPU time and resident set are those of the
  processes in `/proc`. The peak is reset before each phase.
- The latencies of a single halt count from the response to the patch of the spec (`accepted` is the time before it).
  Those of a halt of all agents count from the first patch.
- The event-loop lag is the metric `purpleflea_operator_event_loop_lag_seconds`. It contains the time for which the
  operator is ready to run, and waits because other processes use all processors. The own part of it, in which the loop
  ran, is the metric `purpleflea_operator_event_loop_own_lag_seconds`. Most of the lag at the creation is a wait,
  because the control plane and the benchmark keep all processors busy. A pod of the operator has this wait only if its
  node is overcommitted, or its CPU limit is reached.

**Real:** API server, etcd, controllers, scheduler, the operator, and each of its requests. **Simulated:** nodes and
pods. A pod is Ready as soon as it is scheduled, so images, probes and the start of the agent take no time. One server
responds for all agents at the addresses of their pods. It adopts a new mode as soon as both the ConfigMap and the mount
refresh annotation are written. A real kubelet and agent add their delay to it, which `make test-e2e` measures. The
Datadog node agent is a DaemonSet whose pods are simulated, too.

All processes share the processors of this machine, the benchmark included.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine and the versions of a run."""

    machine: str
    kubernetes: str


def page(runs: Sequence[Run], environment: Environment) -> str:
    """Return the page in Markdown."""
    parts = [
        f"# {TITLE}",
        f"Measured on {environment.machine}.",
        "## Promises",
        _table(
            ("promise", "bound", "measured", ""),
            [
                (row.measurement, row.target, row.result, verdict(row))
                for row in promises.promises(runs)
            ],
        ),
        "## Creation",
        _creation(runs),
        *(f"![{title}](scale-{name}.svg)" for name, title in _charts(runs).items()),
        "## Phases",
        _phases(runs),
        "## Requests",
        "Requests per agent at the creation, and all requests of other phases, without those of the leader election.",
        _requests(runs),
        "## Sizing",
        sizing.section(runs),
        METHOD.format(version=environment.kubernetes).rstrip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def charts(runs: Sequence[Run]) -> dict[str, str]:
    """Return the charts as SVG, by name."""
    measures: dict[str, tuple[str, Callable[[Run, Phase], float]]] = {
        "create": ("seconds", lambda run, phase: phase.seconds),
        "cpu": (
            "CPU of the API server per agent, ms",
            lambda run, phase: 1000 * phase.cpu_s["API server"] / run.agents,
        ),
        "memory": ("MiB", lambda run, _: promises.peak_mib(run)),
    }
    titles = _charts(runs)
    return {
        name: plots.chart(titles[name], "agents", label, _series(runs, measure))
        for name, (label, measure) in measures.items()
        if name in titles
    }


def _charts(runs: Sequence[Run]) -> dict[str, str]:
    if not any(run.phase("create") for run in runs):
        return {}
    titles = {
        "create": "Seconds until all agents are Ready",
        "cpu": "CPU time of the API server per agent at the creation",
    }
    if any(run.phase("create") for run in promises.ours(runs)):
        titles["memory"] = "Largest memory of the operator in all phases"
    return titles


def _series(
    runs: Sequence[Run], measure: Callable[[Run, Phase], float]
) -> dict[str, list[tuple[float, float]]]:
    """Return the points of each variant. If a variant ran twice at one size, the mean."""
    series: dict[str, list[tuple[float, float]]] = {}
    for variant, name in NAMES.items():
        values: dict[int, list[float]] = {}
        for run in runs:
            if run.variant == variant and (phase := run.phase("create")):
                values.setdefault(run.agents, []).append(measure(run, phase))
        series[name] = [(agents, fmean(found)) for agents, found in sorted(values.items())]
    return series


def _creation(runs: Sequence[Run]) -> str:
    rows = []
    for agents in promises.sizes(runs):
        for variant, name in NAMES.items():
            found = promises.creation(runs, variant, agents)
            if found is not None:
                own = "" if variant == "raw" else f"{found.operator_cpu_ms:.1f}"
                rows.append(
                    (f"{agents:,}", name, f"{found.per_s:.1f}", f"{found.api_cpu_ms:.0f}", own)
                )
    header = ("agents", "", "created per s", "API server, CPU ms per agent", "operator, CPU ms")
    return _table(header, rows)


def _phases(runs: Sequence[Run]) -> str:
    rows = [
        _phase(run, phase)
        for run in sorted(runs, key=lambda run: (run.agents, list(NAMES).index(run.variant)))
        for phase in run.phases
        if run.variant != "raw"
    ]
    header = (
        "agents",
        "",
        "phase",
        "s",
        "operator CPU s",
        "API server CPU s",
        "writes",
        "reads",
        "peak MiB",
        "loop lag p99, own part",
        "waited for a processor, s",
        "latency (p50 / p99 / longest)",
    )
    return _table(header, rows)


def _phase(run: Run, phase: Phase) -> tuple[str, ...]:
    lag = ", ".join(
        f"{1000 * lag_s:.0f} ms"
        for lag_s in (phase.lag_p99_s, phase.own_lag_p99_s)
        if lag_s is not None
    )
    latencies = "; ".join(
        f"{name} {item.p50:.2f} / {item.p99:.2f} / {item.longest:.2f} s"
        for name, item in phase.latencies.items()
    )
    return (
        f"{run.agents:,}",
        NAMES[run.variant],
        phase.name,
        f"{phase.seconds:.1f}",
        f"{phase.cpu_s.get('operator', 0.0):.1f}",
        f"{phase.cpu_s['API server']:.1f}",
        str(phase.writes),
        str(phase.reads),
        f"{phase.peak_mib:.0f}",
        lag,
        "" if phase.waited_s is None else f"{phase.waited_s:.1f}",
        latencies,
    )


def _requests(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        if run.variant == "raw":
            continue
        if (phase := run.phase("create")) is not None:
            rows.append((*_who(run), "create", _counts(phase, per=run.agents)))
        rows += [
            (*_who(run), phase.name, _counts(phase))
            for phase in run.phases
            if phase.name.startswith(("idle", "restart"))
        ]
    return _table(("agents", "", "phase", "requests"), rows)


def _who(run: Run) -> tuple[str, str]:
    return f"{run.agents:,}", NAMES[run.variant]


def _counts(phase: Phase, per: int = 1) -> str:
    if not phase.requests:
        return "none"
    return ", ".join(
        f"{key} {number / per:.2f}" if per > 1 else f"{key} {number}"
        for key, number in phase.requests.items()
        if per == 1 or number / per >= 0.01
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

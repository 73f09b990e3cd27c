"""Builders of results of the benchmark."""

from typing import Any

from benchmarks.scale.results import Latency, Phase, Run


def a_phase(name: str = "create", **changes: Any) -> Phase:
    """Return a phase of 1,000 agents; keywords replace its fields."""
    fields: dict[str, Any] = {
        "name": name,
        "seconds": 40.0,
        "cpu_s": {"operator": 12.0, "API server": 44.0},
        "requests": {"patch statefulsets": 1000, "get statefulsets": 10},
        "peak_mib": 150.0,
        "lag_p99_s": 0.02,
        "own_lag_p99_s": 0.01,
        "waited_s": 0.4,
    }
    return Phase(**{**fields, **changes})


def a_run(*phases: Phase, variant: Any = "ours", agents: int = 1000, failure: str = "") -> Run:
    """Return a run with these phases."""
    return Run(variant=variant, agents=agents, phases=phases, failure=failure)


def raw(seconds: float = 20.0, api_cpu_s: float = 22.0, *, agents: int = 1000) -> Run:
    """Return a run of raw StatefulSets."""
    phase = a_phase(
        seconds=seconds,
        cpu_s={"API server": api_cpu_s},
        requests={},
        peak_mib=0.0,
        lag_p99_s=None,
        own_lag_p99_s=None,
    )
    return a_run(phase, variant="raw", agents=agents)


def a_latency(seconds: float) -> Latency:
    """Return the distribution of one value."""
    return Latency.of([seconds])

"""Results of the benchmark as plain data, as in scale.json."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.scale.figures import percentile

Variant = Literal["raw", "ours", "baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Distribution of a latency in seconds."""

    count: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Latency":
        """Return the distribution of these values; there must be at least one."""
        return cls(
            count=len(seconds),
            p50=percentile(seconds, 0.5),
            p99=percentile(seconds, 0.99),
            longest=max(seconds),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Results of one phase of one run."""

    name: str
    seconds: float
    cpu_s: Mapping[str, float]
    """By program: the operator and the programs of the control plane, and the benchmark itself."""
    requests: Mapping[str, int]
    """Completed requests of the operator by `verb resource`."""
    leases: int = 0
    """Requests of the leader election, which `requests` does not contain."""
    peak_mib: float = 0.0
    """Largest resident set of the operator in this phase."""
    lag_p99_s: float | None = None
    own_lag_p99_s: float | None = None
    """Part of the event-loop lag in which the loop ran; other processes cause the rest."""
    waited_s: float | None = None
    """Time for which the operator was ready to run, and other processes used the processors."""
    latencies: Mapping[str, Latency] = field(default_factory=dict)

    @property
    def writes(self) -> int:
        """Number of requests that may change an object."""
        return sum(number for key, number in self.requests.items() if is_write(key))

    @property
    def reads(self) -> int:
        """Number of reads of single objects and lists."""
        return sum(
            number for key, number in self.requests.items() if key.split()[0] in ("get", "list")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All phases of one variant with one number of agents."""

    variant: Variant
    agents: int
    phases: tuple[Phase, ...]
    failure: str = ""
    """Phase that failed, and why. It and the phases after it are missing."""

    def phase(self, name: str) -> Phase | None:
        """Return a phase; None if it did not run."""
        return next((item for item in self.phases if item.name == name), None)


def without(runs: Iterable[Run], variants: Collection[Variant], agents: int) -> list[Run]:
    """Return the runs except those of these variants with this number of agents."""
    return [run for run in runs if run.agents != agents or run.variant not in variants]


def left(
    runs: Iterable[Run],
    sequence: Sequence[Variant],
    agents: int,
    phases: Mapping[str, Sequence[str]],
) -> list[Variant]:
    """Return the part of the sequence of one size that a resumed benchmark still has to measure.

    A run is complete if it did not fail, and has all `phases` of its variant.
    """
    complete = [run.variant for run in runs if run.agents == agents and _is_complete(run, phases)]
    missing = []
    for variant in sequence:
        if variant in complete:
            complete.remove(variant)
        else:
            missing.append(variant)
    return missing


def incomplete(runs: Iterable[Run], agents: int, phases: Mapping[str, Sequence[str]]) -> list[Run]:
    """Return the runs of one size that a resumed benchmark replaces."""
    return [run for run in runs if run.agents == agents and not _is_complete(run, phases)]


def _is_complete(run: Run, phases: Mapping[str, Sequence[str]]) -> bool:
    measured = {phase.name for phase in run.phases}
    return not run.failure and measured.issuperset(phases.get(run.variant, ()))


def is_write(request: str) -> bool:
    """Return whether a request `verb resource` may change an object."""
    return request.split()[0] not in ("get", "list", "watch")


def to_json(runs: list[Run]) -> list[dict[str, Any]]:
    """Return the runs for a JSON document."""
    return [asdict(run) for run in runs]


def from_json(documents: list[dict[str, Any]]) -> list[Run]:
    """Return the runs of a JSON document."""
    return [
        Run(
            variant=document["variant"],
            agents=document["agents"],
            phases=tuple(_phase(item) for item in document["phases"]),
            failure=document.get("failure", ""),
        )
        for document in documents
    ]


def _phase(document: dict[str, Any]) -> Phase:
    latencies = {key: Latency(**value) for key, value in document["latencies"].items()}
    return Phase(**{**document, "latencies": latencies})

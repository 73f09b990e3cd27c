"""Measures one phase: CPU time, memory, requests and event-loop lag between its begin and its end."""

import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks import process
from benchmarks.scale.operators import LagBuckets, Operator
from benchmarks.scale.plane import USERS, Plane
from benchmarks.scale.results import Latency, Phase

LEASES = "leases"


@dataclass(slots=True)
class Recording:
    """Latencies that a phase adds, and its results after its end."""

    name: str
    seconds_by_latency: dict[str, list[float]] = field(default_factory=dict)
    started: Operator | None = None
    """Operator that was started in the phase."""
    result: Phase | None = None

    @property
    def phase(self) -> Phase:
        """The results. They exist after the end of the phase."""
        if self.result is None:
            raise RuntimeError(f"the phase {self.name} has not ended")
        return self.result


@asynccontextmanager
async def measured(plane: Plane, operator: Operator | None, name: str) -> AsyncIterator[Recording]:
    """Measure the block as a phase."""
    recording = Recording(name)
    if operator is not None:
        reset_peak(operator.pid)
    lag_before = LagBuckets({}, {}) if operator is None else await operator.lag_buckets()
    waited_before = 0.0 if operator is None else operator.waited_s()
    point, before, began = plane.audit.end(), _cpu_s(plane, operator), time.monotonic()
    yield recording
    operator = operator or recording.started
    seconds, after = time.monotonic() - began, _cpu_s(plane, operator)
    requests = requests_since(plane.audit.file, point, USERS["operator"])
    lag = LagBuckets({}, {}) if operator is None else await operator.lag_buckets()
    lag_p99_s, own_lag_p99_s = lag.p99_since(lag_before)
    recording.result = Phase(
        name=name,
        seconds=seconds,
        cpu_s={key: after[key] - before.get(key, 0.0) for key in after},
        requests={key: number for key, number in sorted(requests.items()) if LEASES not in key},
        leases=sum(number for key, number in requests.items() if LEASES in key),
        peak_mib=0.0 if operator is None else process.peak_mib(operator.pid),
        waited_s=None if operator is None else operator.waited_s() - waited_before,
        lag_p99_s=lag_p99_s,
        own_lag_p99_s=own_lag_p99_s,
        latencies={key: Latency.of(value) for key, value in recording.seconds_by_latency.items()},
    )


def requests_since(log: Path, point: int, user: str) -> Counter[str]:
    """Return the requests of a user after a point of the audit log, by `verb resource`. A watch counts at its start."""
    counts: Counter[str] = Counter()
    mark = user.encode()
    with log.open("rb") as stream:
        stream.seek(point)
        for line in stream:
            # Most lines are requests of other users; parsing them would take minutes.
            if mark not in line or not line.endswith(b"\n"):
                continue
            entry = orjson.loads(line)
            expected = "ResponseStarted" if entry["verb"] == "watch" else "ResponseComplete"
            if entry["user"]["username"] == user and entry["stage"] == expected:
                target = entry.get("objectRef", {})
                parts = (target.get("resource", "-"), target.get("subresource", ""))
                counts[f"{entry['verb']} {'/'.join(filter(None, parts))}"] += 1
    return counts


def reset_peak(pid: int) -> None:
    """Reset the peak of the resident set (VmHWM) to the present value."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _cpu_s(plane: Plane, operator: Operator | None) -> dict[str, float]:
    times = os.times()
    own = {"benchmark": times.user + times.system}
    return {
        **({} if operator is None else {"operator": operator.cpu_s()}),
        **plane.cpu_s(),
        **own,
    }

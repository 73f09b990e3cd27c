"""Convert submissions of checks to metrics for the aggregator: totals become differences, or rates.

Pure except for the last totals, which are kept per instance. The numbers are those of the Agent's `aggregator`
module, which checks use.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from purpleflea_sandbox.datadog.dogstatsd import Metric, MetricType
from purpleflea_sandbox.datadog.node_agent.counters import Counters

GAUGE, RATE, COUNT, MONOTONIC_COUNT, COUNTER, HISTOGRAM, HISTORATE = range(7)

_PLAIN: Mapping[int, MetricType] = {
    GAUGE: MetricType.GAUGE,
    COUNT: MetricType.COUNT,
    COUNTER: MetricType.COUNT,
    HISTOGRAM: MetricType.HISTOGRAM,
}

MetricKey = tuple[str, tuple[str, ...]]


class Sampler:
    """Samples of all check instances."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last: dict[str, dict[MetricKey, tuple[float, float]]] = {}

    def metrics(
        self, check_id: str, submitted: Sequence[Sequence[Any]], now: float
    ) -> Iterator[Metric]:
        """Yield the metrics of a run. A value that cannot be sampled is counted."""
        last = self._last.setdefault(check_id, {})
        for kind, name, value, tags, _, flush_first in submitted:
            key = (str(name), tuple(str(tag) for tag in tags))
            number = float(value)
            if not math.isfinite(number):
                self._counters.add("checks.not_finite")
            elif kind in _PLAIN:
                yield _metric(key, _PLAIN[kind], number)
            elif kind in (RATE, MONOTONIC_COUNT):
                before, last[key] = last.get(key), (now, number)
                sampled = _difference(kind, before, (now, number), is_first_known=bool(flush_first))
                if sampled is not None:
                    yield _metric(key, *sampled)
            else:
                self._counters.add("checks.unsupported")

    def forget(self, check_id: str) -> None:
        """Remove the totals of an instance that is no longer scheduled."""
        self._last.pop(check_id, None)


def _difference(
    kind: int,
    before: tuple[float, float] | None,
    current: tuple[float, float],
    *,
    is_first_known: bool,
) -> tuple[MetricType, float] | None:
    """Return the growth since the last run. Returns None for the first total, and if a total was reset.

    If the check reports that it observed the start of the series, the first total counts as growth.
    """
    now, value = current
    if before is None or value < before[1]:
        is_growth = is_first_known and kind == MONOTONIC_COUNT
        return (MetricType.COUNT, value) if is_growth else None
    grown, elapsed = value - before[1], now - before[0]
    if kind == MONOTONIC_COUNT:
        return MetricType.COUNT, grown
    return (MetricType.GAUGE, grown / elapsed) if elapsed > 0 else None


def _metric(key: MetricKey, kind: MetricType, value: float) -> Metric:
    return Metric(name=key[0], type=kind, values=(value,), tags=key[1])

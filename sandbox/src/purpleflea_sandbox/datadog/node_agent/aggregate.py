"""Aggregate single values to one point per series and flush.

A gauge keeps the last value, a count the sum, a set its size. A histogram becomes five metrics, and a distribution
keeps every value. Pure except for its bounded memory; values beyond the bound are counted as dropped.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from purpleflea_sandbox.datadog.dogstatsd import Metric, MetricType
from purpleflea_sandbox.datadog.node_agent.counters import Counters

_MAX_CONTEXTS = 50_000
_MAX_VALUES = 2_000
"""Maximum values of a distribution or histogram between two flushes."""
_MAX_REPEATS = 100
"""If a sample rate is below 1/100, it is treated as 1/100, so that one packet cannot fill the memory."""

_API_TYPES = {"count": 1, "rate": 2, "gauge": 3}

Context = tuple[str, MetricType, tuple[str, ...]]


@dataclass(slots=True)
class _Bucket:
    """Values that a context received since the last flush."""

    total: float = 0.0
    last: float = 0.0
    values: list[float] = field(default_factory=list)
    members: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """Payloads of a flush, in the format of the intake's routes."""

    series: Sequence[Mapping[str, Any]]
    distributions: Sequence[Mapping[str, Any]]


class Aggregator:
    """Collect metrics between two flushes."""

    def __init__(self, *, hostname: str, interval_s: float, counters: Counters) -> None:
        self._hostname = hostname
        self._interval = max(1, round(interval_s))
        self._counters = counters
        self._buckets: dict[Context, _Bucket] = {}
        self._timestamped: list[tuple[Context, int, float]] = []

    def add(self, metric: Metric, tags: tuple[str, ...]) -> None:
        context = (metric.name, metric.type, tuple(sorted(set(tags))))
        if metric.timestamp is not None:
            self._add_timestamped(context, metric)
            return
        bucket = self._buckets.get(context)
        if bucket is None:
            if len(self._buckets) >= _MAX_CONTEXTS:
                self._counters.add("dogstatsd.dropped_contexts")
                return
            bucket = self._buckets[context] = _Bucket()
        self._fill(bucket, metric)

    def flush(self, now: float) -> Flush:
        """Return all values since the last flush and clear the memory."""
        buckets, self._buckets = self._buckets, {}
        timestamped, self._timestamped = self._timestamped, []
        series: list[Mapping[str, Any]] = []
        distributions: list[Mapping[str, Any]] = []
        for (name, kind, tags), bucket in buckets.items():
            if kind is MetricType.DISTRIBUTION:
                distributions.append(self._distribution(name, tags, bucket.values, now))
                continue
            for suffix, api_type, value in _points(kind, bucket):
                series.append(self._series(name + suffix, api_type, tags, (int(now), value)))
        for (name, kind, tags), timestamp, value in timestamped:
            api_type = "gauge" if kind is MetricType.GAUGE else "count"
            series.append(self._series(name, api_type, tags, (timestamp, value)))
        return Flush(series=series, distributions=distributions)

    def _add_timestamped(self, context: Context, metric: Metric) -> None:
        if len(self._timestamped) >= _MAX_CONTEXTS or metric.timestamp is None:
            self._counters.add("dogstatsd.dropped_values")
            return
        value = metric.values[-1] if metric.type is MetricType.GAUGE else sum(metric.values)
        self._timestamped.append((context, metric.timestamp, value))

    def _fill(self, bucket: _Bucket, metric: Metric) -> None:
        match metric.type:
            case MetricType.GAUGE:
                bucket.last = metric.values[-1]
            case MetricType.COUNT:
                bucket.total += sum(metric.values) / metric.rate
            case MetricType.SET:
                bucket.members.update(metric.members)
            case _:
                self._keep(bucket, metric)

    def _keep(self, bucket: _Bucket, metric: Metric) -> None:
        repeats = min(_MAX_REPEATS, max(1, round(1 / metric.rate)))
        free = _MAX_VALUES - len(bucket.values)
        values = [value for value in metric.values for _ in range(repeats)]
        bucket.values.extend(values[:free])
        self._counters.add("dogstatsd.dropped_values", max(0, len(values) - free))

    def _series(
        self, name: str, api_type: str, tags: tuple[str, ...], point: tuple[int, float]
    ) -> Mapping[str, Any]:
        return {
            "metric": name,
            "type": _API_TYPES[api_type],
            "interval": 0 if api_type == "gauge" else self._interval,
            "points": [{"timestamp": point[0], "value": point[1]}],
            "tags": list(tags),
            "resources": [{"type": "host", "name": self._hostname}],
        }

    def _distribution(
        self, name: str, tags: tuple[str, ...], values: list[float], now: float
    ) -> Mapping[str, Any]:
        return {
            "metric": name,
            "points": [[int(now), values]],
            "tags": list(tags),
            "host": self._hostname,
            "type": "distribution",
        }


def _points(kind: MetricType, bucket: _Bucket) -> Iterable[tuple[str, str, float]]:
    """Return suffix, type and value of each metric that a context becomes."""
    match kind:
        case MetricType.GAUGE:
            return [("", "gauge", bucket.last)]
        case MetricType.COUNT:
            return [("", "count", bucket.total)]
        case MetricType.SET:
            return [("", "gauge", float(len(bucket.members)))]
        case _:
            return _histogram(bucket.values)


def _histogram(values: list[float]) -> Iterable[tuple[str, str, float]]:
    ordered = sorted(values)
    return [
        (".avg", "gauge", statistics.fmean(ordered)),
        (".count", "count", float(len(ordered))),
        (".max", "gauge", ordered[-1]),
        (".median", "gauge", statistics.median(ordered)),
        (".95percentile", "gauge", ordered[max(0, round(0.95 * len(ordered)) - 1)]),
    ]

"""Metrics in memory: a ring buffer of the newest points per series, searchable by name and tags.

A series is identified by its name, tags and host. Distributions keep their values, so that percentiles are exact.
"""

import math
from array import array
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.intake.index import TagIndex
from purpleflea_sandbox.datadog.intake.ring import Ring

MetricType = Literal["gauge", "count", "rate", "distribution"]
SeriesKey = tuple[str, tuple[str, ...], str]

_NAME = "\0metric"
"""Index term for the metric's name; a tag cannot have this name."""
_MAX_VALUES = 100
"""Maximum number of values kept per distribution point, sampled evenly; percentiles stay accurate to one percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One point of a distribution; each kept value represents count / len(values) values."""

    count: int
    sum: float
    min: float
    max: float
    values: "array[float]"


@dataclass(slots=True, kw_only=True)
class Series:
    """A series. `total` is the sum of all points ever received, for counts."""

    metric: str
    type: MetricType
    tags: tuple[str, ...]
    host: str
    interval: int = 0
    points: Ring
    distributions: deque[tuple[int, Distribution]] = field(default_factory=deque)
    total: float = 0.0

    def newest(self) -> float:
        """Return the time of the newest point; minus infinity if there is none."""
        last = self.points.last()
        times = [last[0]] if last is not None else []
        times += [timestamp for timestamp, _ in list(self.distributions)[-1:]]
        return max(times, default=float("-inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Statistics of a distribution over all kept points."""

    count: int
    sum: float
    min: float
    max: float
    avg: float
    p50: float
    p95: float


class SeriesStore:
    """All series. If the store is full, the least recently written series is removed."""

    def __init__(self, *, points: int = 720, max_series: int = 50_000) -> None:
        self._points = points
        self._max_series = max_series
        self._series: OrderedDict[SeriesKey, Series] = OrderedDict()
        self._index: TagIndex[SeriesKey] = TagIndex()

    def __len__(self) -> int:
        return len(self._series)

    def open(
        self, metric: str, kind: MetricType, *, tags: Iterable[str], host: str, interval: int = 0
    ) -> Series:
        """Return the series to add points to; create it if it does not exist."""
        normalised = tagging.normalised_all(tags)
        key = (metric, normalised, host)
        series = self._series.get(key)
        if series is None:
            series = self._new(key, kind)
        self._series.move_to_end(key)
        series.interval = interval
        return series

    def add(self, series: Series, timestamp: int, value: float) -> None:
        """Add a point. If this second already has a point, a gauge keeps the last value and a count the sum."""
        if series.type == "count":
            series.total += value
        last = series.points.last()
        if last is None or last[0] != timestamp:
            series.points.add(timestamp, value)
        else:
            series.points.replace_last(value + last[1] if series.type == "count" else value)

    def add_values(self, series: Series, timestamp: int, values: Sequence[float]) -> None:
        """Add the values that a distribution received in one interval."""
        series.total += len(values)
        ordered = sorted(values)
        step = max(1.0, len(ordered) / _MAX_VALUES)
        kept = (ordered[int(index * step)] for index in range(min(len(ordered), _MAX_VALUES)))
        point = Distribution(
            count=len(ordered),
            sum=math.fsum(ordered),
            min=ordered[0],
            max=ordered[-1],
            values=array("d", kept),
        )
        series.distributions.append((timestamp, point))

    def find(self, name: str = "", tags: Iterable[str] = ()) -> Sequence[Series]:
        """Return the series with that name and all those tags. Without a name or tags, return all."""
        terms = [tagging.split(tag) for tag in tagging.normalised_all(tags)]
        if name:
            terms.append((_NAME, name))
        if not terms:
            return tuple(self._series.values())
        return [self._series[key] for key in sorted(self._index.having(terms))]

    def tag_values(self, name: str) -> Iterable[str]:
        return self._index.values(name)

    def _new(self, key: SeriesKey, kind: MetricType) -> Series:
        metric, tags, host = key
        while len(self._series) >= self._max_series:
            old, _ = self._series.popitem(last=False)
            self._index.remove(old, _terms(old))
        series = Series(
            metric=metric,
            type=kind,
            tags=tags,
            host=host,
            points=Ring(self._points),
            distributions=deque(maxlen=self._points),
        )
        self._series[key] = series
        self._index.add(key, _terms(key))
        return series


def statistics(series: Series) -> Statistics | None:
    """Return the statistics of all kept points; None if there are none."""
    points = [point for _, point in series.distributions]
    if not points:
        return None
    weighted = sorted((v, p.count / len(p.values)) for p in points for v in p.values)
    count = sum(point.count for point in points)
    total = math.fsum(point.sum for point in points)
    return Statistics(
        count=count,
        sum=total,
        min=min(point.min for point in points),
        max=max(point.max for point in points),
        avg=total / count,
        p50=percentile(weighted, 50),
        p95=percentile(weighted, 95),
    )


def percentile(weighted: Sequence[tuple[float, float]], rank: float) -> float:
    """Return the nearest-rank percentile of sorted values with their weights."""
    wanted = rank / 100 * math.fsum(weight for _, weight in weighted)
    seen = 0.0
    for value, weight in weighted:
        seen += weight
        if seen >= wanted - 1e-9:
            return value
    return weighted[-1][0]


def _terms(key: SeriesKey) -> Iterable[tuple[str, str]]:
    metric, tags, host = key
    yield _NAME, metric
    if host:
        yield "host", host
    for tag in tags:
        yield tagging.split(tag)

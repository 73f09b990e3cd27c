"""Interface between queries and data: series with tags, and the selection of series by a query. Pure.

It does not read any store: see `data_source` for the stores of the intake.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from purpleflea_sandbox.datadog.evaluation.time_grid import Group
from purpleflea_sandbox.datadog.queries import tree

Sample = tuple[float, float]
"""A value of a distribution, and the number of values it represents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionPoint:
    """Values that a distribution received at one time."""

    timestamp: float
    count: float
    sum: float
    min: float
    max: float
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedSeries:
    """A series: the `points` of a gauge, count or rate, or the `distributions` of a distribution."""

    tags: Sequence[str]
    type: str
    interval_s: float = 0
    points: Sequence[tuple[float, float]] = ()
    distributions: Sequence[DistributionPoint] = ()


class SeriesSource(Protocol):
    """Source of series."""

    def find_series(self, metric: str, tags: Sequence[str], since: float) -> Iterable[TaggedSeries]:
        """Return the series of the metric with all of the tags, and their points from `since` on."""


class CachedSource:
    """Source that caches results, because the widgets of a dashboard share their metrics."""

    def __init__(self, source: SeriesSource) -> None:
        self._source = source
        self._cache: dict[tuple[str, tuple[str, ...], float], Sequence[TaggedSeries]] = {}

    def find_series(self, metric: str, tags: Sequence[str], since: float) -> Sequence[TaggedSeries]:
        key = (metric, tuple(tags), since)
        cached = self._cache.get(key)
        if cached is None:
            cached = self._cache[key] = tuple(self._source.find_series(metric, tags, since))
        return cached


def matching_series(
    source: SeriesSource, query: tree.MetricQuery, since: float
) -> Iterable[TaggedSeries]:
    """Yield the series that match a query's filters."""
    plain = [
        f"{filter_.tag}:{filter_.value}"
        for filter_ in query.filters
        if not filter_.negated and "*" not in filter_.value
    ]
    remaining = [filter_ for filter_ in query.filters if filter_.negated or "*" in filter_.value]
    for series in source.find_series(query.metric, plain, since):
        if all(_matches(series.tags, filter_) for filter_ in remaining):
            yield series


def group_of(tags: Sequence[str], by: Sequence[str]) -> Group | None:
    """Return the group of a series. Returns None if a tag is missing; Datadog omits such series."""
    group = []
    for name in by:
        value = next((tag[len(name) + 1 :] for tag in tags if tag.startswith(f"{name}:")), None)
        if value is None:
            return None
        group.append((name, value))
    return tuple(group)


def bind_variables(expression: tree.Expression, variables: Mapping[str, str]) -> tree.Expression:
    """Replace template variables in the expression by their values; "*" removes the filter."""
    match expression:
        case tree.MetricQuery():
            return tree.MetricQuery(
                aggregator=expression.aggregator,
                metric=expression.metric,
                filters=tuple(_bind_filters(expression.filters, variables)),
                by=expression.by,
                as_count=expression.as_count,
            )
        case tree.Binary(operator, left, right):
            return tree.Binary(
                operator, bind_variables(left, variables), bind_variables(right, variables)
            )
        case _:
            return expression


def _bind_filters(
    filters: Iterable[tree.Filter], variables: Mapping[str, str]
) -> Iterable[tree.Filter]:
    for filter_ in filters:
        if not filter_.variable:
            yield filter_
        elif (value := variables.get(filter_.tag, "*")) != "*":
            yield tree.Filter(tag=filter_.tag, value=value)


def _matches(tags: Sequence[str], filter_: tree.Filter) -> bool:
    has = any(fnmatchcase(tag, f"{filter_.tag}:{filter_.value}") for tag in tags)
    return has != filter_.negated

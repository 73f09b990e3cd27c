"""Interface between queries and data: series with tags, and the selection of series by a query. Pure.

It does not read any store: see `data_source` for the stores of the intake.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from purpleflea_sandbox.datadog.evaluation.frames import Group
from purpleflea_sandbox.datadog.queries import tree

Sample = tuple[float, float]
"""A value of a distribution, and the number of values it represents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Values that a distribution received at one time."""

    timestamp: float
    count: float
    sum: float
    min: float
    max: float
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One series: the `points` of a gauge, count or rate, or the `distributions` of a distribution."""

    tags: Sequence[str]
    type: str
    interval_s: float = 0
    points: Sequence[tuple[float, float]] = ()
    spreads: Sequence[Spread] = ()


class Source(Protocol):
    """Source of series."""

    def tracks(self, metric: str, tags: Sequence[str], since: float) -> Iterable[Track]:
        """Return the series of the metric with all of the tags, and their points from `since` on."""


class Remembered:
    """Source that caches results, because the widgets of one dashboard share their metrics."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: dict[tuple[str, tuple[str, ...], float], Sequence[Track]] = {}

    def tracks(self, metric: str, tags: Sequence[str], since: float) -> Sequence[Track]:
        key = (metric, tuple(tags), since)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = tuple(self._source.tracks(metric, tags, since))
        return found


def chosen(source: Source, query: tree.Series, since: float) -> Iterable[Track]:
    """Yield the series that match a query's filters."""
    plain = [f"{f.tag}:{f.value}" for f in query.filters if not f.negated and "*" not in f.value]
    others = [one for one in query.filters if one.negated or "*" in one.value]
    for track in source.tracks(query.metric, plain, since):
        if all(_passes(track.tags, one) for one in others):
            yield track


def group_of(tags: Sequence[str], by: Sequence[str]) -> Group | None:
    """Return the group of a series. Returns None if a tag is missing; Datadog omits such series."""
    group = []
    for name in by:
        value = next((tag[len(name) + 1 :] for tag in tags if tag.startswith(f"{name}:")), None)
        if value is None:
            return None
        group.append((name, value))
    return tuple(group)


def bound(expression: tree.Expression, variables: Mapping[str, str]) -> tree.Expression:
    """Replace template variables in the expression by their values; "*" removes the filter."""
    match expression:
        case tree.Series():
            return tree.Series(
                aggregator=expression.aggregator,
                metric=expression.metric,
                filters=tuple(_bound_filters(expression.filters, variables)),
                by=expression.by,
                as_count=expression.as_count,
            )
        case tree.Binary(operator, left, right):
            return tree.Binary(operator, bound(left, variables), bound(right, variables))
        case _:
            return expression


def _bound_filters(
    filters: Iterable[tree.Filter], variables: Mapping[str, str]
) -> Iterable[tree.Filter]:
    for one in filters:
        if not one.variable:
            yield one
        elif (value := variables.get(one.tag, "*")) != "*":
            yield tree.Filter(tag=one.tag, value=value)


def _passes(tags: Sequence[str], one: tree.Filter) -> bool:
    has = any(fnmatchcase(tag, f"{one.tag}:{one.value}") for tag in tags)
    return has != one.negated

"""The port between queries and data: tracks of points with tags, and how a query chooses among them. Pure.

It does not know where points come from: see `received` for the stores of the intake.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from purpleflea_sandbox.datadog.evaluation.frames import Group
from purpleflea_sandbox.datadog.queries import tree

Sample = tuple[float, float]
"""A value of a distribution, and how many it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a distribution received at one time."""

    timestamp: float
    count: float
    sum: float
    min: float
    max: float
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One series: `points` of a gauge, count or rate, or the `spreads` of a distribution."""

    tags: Sequence[str]
    type: str
    interval_s: float = 0
    points: Sequence[tuple[float, float]] = ()
    spreads: Sequence[Spread] = ()


class Source(Protocol):
    """Where tracks are found."""

    def tracks(self, metric: str, tags: Sequence[str], since: float) -> Iterable[Track]:
        """Tracks of the metric that carry all the tags, with their points from `since` on."""


class Remembered:
    """A source that is asked for the same only once: the widgets of one board share their metrics."""

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
    """The tracks that a query's filters leave."""
    plain = [f"{f.tag}:{f.value}" for f in query.filters if not f.negated and "*" not in f.value]
    others = [one for one in query.filters if one.negated or "*" in one.value]
    for track in source.tracks(query.metric, plain, since):
        if all(_passes(track.tags, one) for one in others):
            yield track


def group_of(tags: Sequence[str], by: Sequence[str]) -> Group | None:
    """The group of a track; None where it lacks one of the tags: Datadog then leaves it out."""
    group = []
    for name in by:
        value = next((tag[len(name) + 1 :] for tag in tags if tag.startswith(f"{name}:")), None)
        if value is None:
            return None
        group.append((name, value))
    return tuple(group)


def bound(expression: tree.Expression, variables: Mapping[str, str]) -> tree.Expression:
    """The expression with the values of template variables in place; "*" filters nothing."""
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

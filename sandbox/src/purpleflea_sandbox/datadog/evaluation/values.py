"""Evaluate an expression on a time grid. Pure.

The sequence is the same as in Datadog: each series over time within a bucket, then all series of a group, then
arithmetic.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from purpleflea_sandbox.datadog.evaluation import time_grid
from purpleflea_sandbox.datadog.evaluation.grouped_series import (
    DistributionPoint,
    Sample,
    SeriesSource,
    TaggedSeries,
    group_of,
    matching_series,
)
from purpleflea_sandbox.datadog.evaluation.time_grid import (
    UNGROUPED,
    BucketValues,
    Group,
    TimeGrid,
    ValuesByGroup,
)
from purpleflea_sandbox.datadog.intake.series import percentile
from purpleflea_sandbox.datadog.queries import tree

IS_GREATER = "is_greater"


class UnsupportedQueryError(ValueError):
    """The query is valid, but it is not evaluated here."""


@dataclass(kw_only=True)
class Evaluator:
    """One evaluation on a grid. `newest` and `oldest` record the times of the last and first point of every group."""

    source: SeriesSource
    grid: TimeGrid
    hold_s: float = 0
    """Time for which a gauge's last value is repeated at the right edge. If it is set, gaps of distributions are
    filled too. Used for charts, never for alerts.
    """
    newest: dict[Group, float] = field(default_factory=dict)
    oldest: dict[Group, float] = field(default_factory=dict)

    def of(
        self, expression: tree.Expression, names: Mapping[str, ValuesByGroup] | None = None
    ) -> ValuesByGroup:
        """Evaluate an expression per group; `names` are the results of a formula's queries."""
        match expression:
            case tree.Number(value):
                return {UNGROUPED: [value] * self.grid.count}
            case tree.Name(name):
                return _named_query(names or {}, name)
            case tree.MetricQuery():
                return self.series(expression)
            case tree.Binary(operator, left, right):
                sides = self.of(left, names), self.of(right, names)
                if not all(sides) and _is_number(left, right):
                    return {}
                return time_grid.combine(operator, *sides, zero=_missing_is_zero(expression, names))
            case tree.FunctionCall(function, arguments):
                return _call_function(
                    function, [self.of(argument, names) for argument in arguments]
                )
            case _:
                raise UnsupportedQueryError("anomalies() is only evaluated in a monitor")

    def series(self, query: tree.MetricQuery) -> ValuesByGroup:
        """Evaluate the query of a metric."""
        since = self.grid.start - (time_grid.MAX_GAP_S if not query.as_count else 0)
        groups: dict[Group, list[TaggedSeries]] = defaultdict(list)
        for series in matching_series(self.source, query, since):
            group = group_of(series.tags, query.by)
            if group is not None and self._record_times(group, series):
                groups[group].append(series)
        result = {group: self._group(query, series_list) for group, series_list in groups.items()}
        return {g: values for g, values in result.items() if any(v is not None for v in values)}

    def _record_times(self, group: Group, series: TaggedSeries) -> bool:
        times = [t for t, _ in series.points] or [point.timestamp for point in series.distributions]
        inside = [t for t in times if t <= self.grid.end]
        if inside:
            self.newest[group] = max(max(inside), self.newest.get(group, 0))
            self.oldest[group] = min(min(inside), self.oldest.get(group, self.grid.end))
        return bool(inside)

    def _group(self, query: tree.MetricQuery, series_list: Sequence[TaggedSeries]) -> BucketValues:
        distributions = [series for series in series_list if series.type == "distribution"]
        if distributions:
            values = _distribution_values(query.aggregator, distributions, self.grid)
            return time_grid.interpolate(values, self.grid.step_s) if self.hold_s else values
        aggregator = query.aggregator
        if aggregator not in time_grid.REDUCERS:
            return [None] * self.grid.count  # percentiles exist only for distributions
        return time_grid.aggregate(
            [self._series_values(query, series) for series in series_list], aggregator
        )

    def _series_values(self, query: tree.MetricQuery, series: TaggedSeries) -> BucketValues:
        counts = query.as_count or series.type == "count"
        factor = (series.interval_s or 1) if series.type == "rate" and query.as_count else 1
        within = query.aggregator if query.aggregator in ("min", "max") else "avg"
        cells: list[list[float]] = [[] for _ in range(self.grid.count)]
        for index, value in self.grid.assign_buckets(series.points):
            cells[index].append(value * factor)
        values = [time_grid.reduce_values(cell, "sum" if counts else within) for cell in cells]
        return values if counts else time_grid.interpolate(values, self.grid.step_s, self.hold_s)


def distributions_by_bucket(
    series_list: Iterable[TaggedSeries], grid: TimeGrid
) -> Sequence[Sequence[DistributionPoint]]:
    """Return all received distribution points per bucket."""
    cells: list[list[DistributionPoint]] = [[] for _ in range(grid.count)]
    for series in series_list:
        for index, point in grid.assign_buckets(
            (point.timestamp, point) for point in series.distributions
        ):
            cells[index].append(point)
    return cells


def _distribution_values(
    aggregator: str, series_list: Iterable[TaggedSeries], grid: TimeGrid
) -> BucketValues:
    return [
        _distribution_value(aggregator, cell) if cell else None
        for cell in distributions_by_bucket(series_list, grid)
    ]


def _distribution_value(aggregator: str, cell: Sequence[DistributionPoint]) -> float:
    match aggregator:
        case "sum":
            return sum(point.sum for point in cell)
        case "avg":
            return sum(point.sum for point in cell) / sum(point.count for point in cell)
        case "min":
            return min(point.min for point in cell)
        case "max":
            return max(point.max for point in cell)
        case _:
            samples: list[Sample] = sorted(sample for point in cell for sample in point.samples)
            return percentile(samples, float(aggregator.removeprefix("p")))


def _named_query(names: Mapping[str, ValuesByGroup], name: str) -> ValuesByGroup:
    if name not in names:
        raise UnsupportedQueryError(f"the formula refers to query {name!r}, which does not exist")
    return names[name]


def _missing_is_zero(expression: tree.Binary, names: Mapping[str, ValuesByGroup] | None) -> bool:
    """Return True if missing data counts as zero, which applies if all operands are counts."""
    if _is_number(expression.left, expression.right):
        return False
    leaves = tree.leaves(expression)
    return all(leaf.as_count for leaf in leaves) if leaves else isinstance(names, CountResults)


def _is_number(*sides: tree.Expression) -> bool:
    return any(isinstance(side, tree.Number) for side in sides)


class CountResults(dict[str, ValuesByGroup]):
    """Results of a formula whose queries are all counts."""


def _call_function(function: str, arguments: Sequence[ValuesByGroup]) -> ValuesByGroup:
    if function == IS_GREATER and len(arguments) == 2:
        return _is_greater(*arguments)
    if function not in _FUNCTIONS or len(arguments) != 1:
        raise UnsupportedQueryError(f"the function {function} is not evaluated here")
    return _FUNCTIONS[function](arguments[0])


def _is_greater(values_by_group: ValuesByGroup, limits: ValuesByGroup) -> ValuesByGroup:
    (limit,) = limits.values()
    return {
        group: [
            None if value is None or bound is None else float(value > bound)
            for value, bound in zip(values, limit, strict=True)
        ]
        for group, values in values_by_group.items()
    }


def _count_groups(
    values_by_group: ValuesByGroup, predicate: Callable[[float | None], bool]
) -> ValuesByGroup:
    columns = zip(*values_by_group.values(), strict=True)
    return (
        {UNGROUPED: [float(sum(map(predicate, column))) for column in columns]}
        if values_by_group
        else {}
    )


_FUNCTIONS: Mapping[str, Callable[[ValuesByGroup], ValuesByGroup]] = {
    "count_nonzero": lambda values_by_group: _count_groups(values_by_group, bool),
    "count_not_null": lambda values_by_group: _count_groups(
        values_by_group, lambda value: value is not None
    ),
    "abs": lambda values_by_group: {
        g: [None if v is None else abs(v) for v in vs] for g, vs in values_by_group.items()
    },
    "default_zero": lambda values_by_group: {
        g: [v or 0.0 for v in vs] for g, vs in values_by_group.items()
    },
}

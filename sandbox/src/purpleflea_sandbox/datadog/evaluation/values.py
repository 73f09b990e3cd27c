"""Evaluate an expression on a time grid. Pure.

The sequence is the same as in Datadog: each series over time within a bucket, then all series of a group, then
arithmetic.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from purpleflea_sandbox.datadog.evaluation import frames
from purpleflea_sandbox.datadog.evaluation.frames import EVERYTHING, Frame, Grid, Group, Values
from purpleflea_sandbox.datadog.evaluation.tracks import (
    Sample,
    Source,
    Spread,
    Track,
    chosen,
    group_of,
)
from purpleflea_sandbox.datadog.intake.series import percentile
from purpleflea_sandbox.datadog.queries import tree


class RefusedError(ValueError):
    """The query is valid, but it is not evaluated here."""


@dataclass(kw_only=True)
class Evaluator:
    """One evaluation on one grid. `newest` and `oldest` record the times of the last and first point of every group."""

    source: Source
    grid: Grid
    hold_s: float = 0
    """Time for which a gauge's last value is repeated at the right edge. If it is set, gaps of distributions are
    filled too. Used for charts, never for alerts.
    """
    newest: dict[Group, float] = field(default_factory=dict)
    oldest: dict[Group, float] = field(default_factory=dict)

    def of(self, expression: tree.Expression, names: Mapping[str, Frame] | None = None) -> Frame:
        """Evaluate an expression per group; `names` are the results of a formula's queries."""
        match expression:
            case tree.Number(value):
                return {EVERYTHING: [value] * self.grid.count}
            case tree.Name(name):
                return _named(names or {}, name)
            case tree.Series():
                return self.series(expression)
            case tree.Binary(operator, left, right):
                sides = self.of(left, names), self.of(right, names)
                if not all(sides) and _is_number(left, right):
                    return {}
                return frames.combined(operator, *sides, zero=_counts(expression, names))
            case tree.Call(function, arguments):
                return _called(function, [self.of(one, names) for one in arguments])
            case _:
                raise RefusedError("anomalies() is only evaluated in a monitor")

    def series(self, query: tree.Series) -> Frame:
        """Evaluate the query of one metric."""
        since = self.grid.start - (frames.LONGEST_GAP_S if not query.as_count else 0)
        groups: dict[Group, list[Track]] = defaultdict(list)
        for track in chosen(self.source, query, since):
            group = group_of(track.tags, query.by)
            if group is not None and self._noted(group, track):
                groups[group].append(track)
        result = {group: self._group(query, tracks) for group, tracks in groups.items()}
        return {g: values for g, values in result.items() if any(v is not None for v in values)}

    def _noted(self, group: Group, track: Track) -> bool:
        times = [t for t, _ in track.points] or [one.timestamp for one in track.spreads]
        inside = [t for t in times if t <= self.grid.end]
        if inside:
            self.newest[group] = max(max(inside), self.newest.get(group, 0))
            self.oldest[group] = min(min(inside), self.oldest.get(group, self.grid.end))
        return bool(inside)

    def _group(self, query: tree.Series, tracks: Sequence[Track]) -> Values:
        spreads = [track for track in tracks if track.type == "distribution"]
        if spreads:
            values = _spread_values(query.aggregator, spreads, self.grid)
            return frames.interpolated(values, self.grid.step_s) if self.hold_s else values
        how = query.aggregator
        if how not in frames.REDUCE:
            return [None] * self.grid.count  # percentiles exist only for distributions
        return frames.across([self._track(query, track) for track in tracks], how)

    def _track(self, query: tree.Series, track: Track) -> Values:
        counts = query.as_count or track.type == "count"
        factor = (track.interval_s or 1) if track.type == "rate" and query.as_count else 1
        within = query.aggregator if query.aggregator in ("min", "max") else "avg"
        cells: list[list[float]] = [[] for _ in range(self.grid.count)]
        for index, value in self.grid.placed(track.points):
            cells[index].append(value * factor)
        values = [frames.reduced(cell, "sum" if counts else within) for cell in cells]
        return values if counts else frames.interpolated(values, self.grid.step_s, self.hold_s)


def spreads_by_bucket(tracks: Iterable[Track], grid: Grid) -> Sequence[Sequence[Spread]]:
    """Return all received distribution points per bucket."""
    cells: list[list[Spread]] = [[] for _ in range(grid.count)]
    for track in tracks:
        for index, spread in grid.placed((one.timestamp, one) for one in track.spreads):
            cells[index].append(spread)
    return cells


def _spread_values(how: str, tracks: Iterable[Track], grid: Grid) -> Values:
    return [_spread_value(how, cell) if cell else None for cell in spreads_by_bucket(tracks, grid)]


def _spread_value(how: str, cell: Sequence[Spread]) -> float:
    match how:
        case "sum":
            return sum(one.sum for one in cell)
        case "avg":
            return sum(one.sum for one in cell) / sum(one.count for one in cell)
        case "min":
            return min(one.min for one in cell)
        case "max":
            return max(one.max for one in cell)
        case _:
            samples: list[Sample] = sorted(sample for one in cell for sample in one.samples)
            return percentile(samples, float(how.removeprefix("p")))


def _named(names: Mapping[str, Frame], name: str) -> Frame:
    if name not in names:
        raise RefusedError(f"the formula names a query {name!r} that is not there")
    return names[name]


def _counts(expression: tree.Binary, names: Mapping[str, Frame] | None) -> bool:
    """Return True if missing data counts as zero, which applies if all operands are counts."""
    if _is_number(expression.left, expression.right):
        return False
    leaves = tree.leaves(expression)
    return all(leaf.as_count for leaf in leaves) if leaves else isinstance(names, Counted)


def _is_number(*sides: tree.Expression) -> bool:
    return any(isinstance(side, tree.Number) for side in sides)


class Counted(dict[str, Frame]):
    """Results of a formula whose queries are all counts."""


def _called(function: str, arguments: Sequence[Frame]) -> Frame:
    if function not in _FUNCTIONS or len(arguments) != 1:
        raise RefusedError(f"the function {function} is not evaluated here")
    return _FUNCTIONS[function](arguments[0])


def _count(frame: Frame, counted: Callable[[float | None], bool]) -> Frame:
    columns = zip(*frame.values(), strict=True)
    return {EVERYTHING: [float(sum(map(counted, column))) for column in columns]} if frame else {}


_FUNCTIONS: Mapping[str, Callable[[Frame], Frame]] = {
    "count_nonzero": lambda frame: _count(frame, bool),
    "count_not_null": lambda frame: _count(frame, lambda value: value is not None),
    "abs": lambda frame: {
        g: [None if v is None else abs(v) for v in vs] for g, vs in frame.items()
    },
    "default_zero": lambda frame: {g: [v or 0.0 for v in vs] for g, vs in frame.items()},
}

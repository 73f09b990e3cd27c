"""Values in a grid of time buckets, per group of tags, and the arithmetic on buckets. Pure.

If a count or a percentile is reduced over a window, the grid has one bucket as long as the window, so that the
reduction over time comes before the arithmetic.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
Group = tuple[tuple[str, str], ...]
"""Values of the tags grouped by; empty if the query does not group."""
BucketValues = Sequence[float | None]
ValuesByGroup = Mapping[Group, BucketValues]
"""One value per bucket and group; None if the bucket has no data."""

UNGROUPED: Group = ()
MAX_GAP_S = 300
"""Maximum gap between two gauge points that is filled by linear interpolation (Datadog's default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeGrid:
    """`count` buckets of `step_s` seconds. A bucket is the interval (start, end], because a window ends now."""

    end: float
    step_s: float
    count: int

    @property
    def start(self) -> float:
        return self.end - self.step_s * self.count

    @property
    def times(self) -> list[float]:
        """End of each bucket."""
        return [self.end - self.step_s * back for back in range(self.count - 1, -1, -1)]

    def assign_buckets(self, points: Iterable[tuple[float, Item]]) -> Iterator[tuple[int, Item]]:
        """Yield the points inside the grid, each with the index of its bucket."""
        start, end, step, last = self.start, self.end, self.step_s, self.count - 1
        for timestamp, value in points:
            if start < timestamp <= end:
                yield max(0, last - int((end - timestamp) / step)), value


def single_bucket(window_s: float, now: float) -> TimeGrid:
    """Create a grid with one bucket for the whole window."""
    return TimeGrid(end=now, step_s=window_s, count=1)


def round_grid(window_s: float, now: float, *, max_buckets: int) -> TimeGrid:
    """Create a grid with a round bucket length and at most `max_buckets` buckets; the last bucket ends now."""
    lengths = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    length = next(
        (candidate for candidate in lengths if window_s / candidate <= max_buckets),
        window_s / max_buckets,
    )
    return TimeGrid(end=now, step_s=length, count=max(1, round(window_s / length)))


REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
}


def reduce_values(values: Iterable[float | None], reducer: str) -> float | None:
    """Reduce the values that are not None to one value; None if there are none."""
    known = [value for value in values if value is not None]
    return REDUCERS[reducer](known) if known else None


def interpolate(values: BucketValues, step_s: float, hold_s: float = 0) -> BucketValues:
    """Fill the gaps of a gauge linearly, and repeat its last value for `hold_s`."""
    filled = list(values)
    known = [index for index, value in enumerate(values) if value is not None]
    for left, right in itertools.pairwise(known):
        if 1 < right - left <= MAX_GAP_S / step_s:
            _fill_between(filled, left, right)
    if known:
        end = min(len(filled), known[-1] + 1 + int(hold_s / step_s))
        filled[known[-1] : end] = [filled[known[-1]]] * (end - known[-1])
    return filled


def _fill_between(filled: list[float | None], left: int, right: int) -> None:
    first, last = filled[left] or 0.0, filled[right] or 0.0
    for index in range(left + 1, right):
        filled[index] = first + (last - first) * (index - left) / (right - left)


def aggregate(series: Sequence[BucketValues], reducer: str) -> BucketValues:
    """Aggregate several series bucket by bucket."""
    if len(series) == 1:
        return series[0]
    return [reduce_values(column, reducer) for column in zip(*series, strict=True)]


def combine(
    operator: str, left: ValuesByGroup, right: ValuesByGroup, *, zero: bool
) -> ValuesByGroup:
    """Combine both sides per group and bucket. If one side has no groups, it is combined with every group of the
    other.

    If `zero` is set, data missing on one side counts as 0, because an agent that never failed has an error rate of 0.
    """
    no_values: BucketValues = [None] * max(
        (len(v) for v in (*left.values(), *right.values())), default=0
    )
    groups: Iterable[Group] = dict.fromkeys((*left, *right))
    if set(left) == {UNGROUPED} and right:
        groups = right
    elif set(right) == {UNGROUPED} and left:
        groups = left
    return {
        group: [
            _apply(operator, left_value, right_value, zero=zero)
            for left_value, right_value in zip(
                _values_of(left, group, no_values), _values_of(right, group, no_values), strict=True
            )
        ]
        for group in groups
    }


def _values_of(values: ValuesByGroup, group: Group, no_values: BucketValues) -> BucketValues:
    return values.get(group, values.get(UNGROUPED, no_values))


def _apply(operator: str, left: float | None, right: float | None, *, zero: bool) -> float | None:
    if zero and (left is None) != (right is None):
        left, right = left or 0.0, right or 0.0
    if left is None or right is None:
        return None
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right if right else None

"""Simple replacement for anomalies(): a value is anomalous if it is outside median ± deviations x spread.

Datadog's algorithms consider seasons and trends and are not public; this one considers neither. As in Datadog, the
result is the share of points in the alert window that are outside in the configured direction. Pure.
"""

import statistics
from collections.abc import Sequence

from purpleflea_sandbox.datadog.evaluation.group_values import GroupValue, GroupValues
from purpleflea_sandbox.datadog.evaluation.grouped_series import SeriesSource
from purpleflea_sandbox.datadog.evaluation.time_grid import BucketValues, TimeGrid
from purpleflea_sandbox.datadog.evaluation.values import Evaluator
from purpleflea_sandbox.datadog.queries import read, tree

_MIN_HISTORY = 10
"""Minimum number of history points. With fewer points, no value is anomalous."""
_MAD_TO_SIGMA = 1.4826
"""Factor from median absolute deviation to standard deviation of a normal distribution."""
_MIN_SPREAD = 0.01
"""Minimum spread as a share of the median, so that a constant value does not alert at its first small change."""


def evaluate(
    condition: tree.MetricCondition, anomalies: tree.Anomalies, source: SeriesSource, now: float
) -> GroupValues:
    """Return the share of anomalous points per group. Groups without enough history are omitted."""
    options = dict(anomalies.options)
    step_s = int(options.get("interval", "60"))
    alert_s = read.seconds(options.get("alert_window", "last_15m").removeprefix("last_"))
    grid = TimeGrid(end=now, step_s=step_s, count=max(1, condition.window_s // step_s))
    evaluator = Evaluator(source=source, grid=grid)
    groups = {}
    for group, values in evaluator.of(anomalies.expression).items():
        recent = max(1, alert_s // step_s)
        share = _share(values, recent, anomalies.deviations, options.get("direction", "both"))
        if share is not None:
            groups[group] = GroupValue(value=share, newest=evaluator.newest.get(group, 0))
    by = max((leaf.by for leaf in tree.leaves(anomalies.expression)), key=len, default=())
    return GroupValues(groups=groups, by=by)


def _share(values: BucketValues, recent: int, deviations: float, direction: str) -> float | None:
    history = [value for value in values[:-recent] if value is not None]
    newest = [value for value in values[-recent:] if value is not None]
    if len(history) < _MIN_HISTORY or not newest:
        return None
    low, high = _band(history, deviations)
    above = sum(value > high for value in newest) if direction in ("above", "both") else 0
    below = sum(value < low for value in newest) if direction in ("below", "both") else 0
    return (above + below) / len(newest)


def _band(history: Sequence[float], deviations: float) -> tuple[float, float]:
    middle = statistics.median(history)
    spread = statistics.median(abs(value - middle) for value in history) * _MAD_TO_SIGMA
    width = deviations * max(spread, abs(middle) * _MIN_SPREAD)
    return middle - width, middle + width

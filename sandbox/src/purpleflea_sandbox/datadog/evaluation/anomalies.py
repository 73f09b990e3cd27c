"""A plain stand-in for anomalies(): far from the usual is what lies outside median ± deviations x spread.

Datadog's algorithms know seasons and trends, and are not public; this one knows neither. The value is, as there, the
share of the alert window's points that lie outside in the direction asked for. Pure.
"""

import statistics
from collections.abc import Sequence

from purpleflea_sandbox.datadog.evaluation.frames import Grid, Values
from purpleflea_sandbox.datadog.evaluation.readings import Reading, Readings
from purpleflea_sandbox.datadog.evaluation.tracks import Source
from purpleflea_sandbox.datadog.evaluation.values import Evaluator
from purpleflea_sandbox.datadog.queries import read, tree

_LEAST_HISTORY = 10
"""Points of history below which nothing is called unusual."""
_NORMAL = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""
_LEAST_SPREAD = 0.01
"""A share of the median: a value that never moved must not alert at its first flutter."""


def readings(
    condition: tree.MetricCondition, anomalies: tree.Anomalies, source: Source, now: float
) -> Readings:
    """The share of unusual points per group; groups without enough history are left out."""
    options = dict(anomalies.options)
    step_s = int(options.get("interval", "60"))
    alert_s = read.seconds(options.get("alert_window", "last_15m").removeprefix("last_"))
    grid = Grid(end=now, step_s=step_s, count=max(1, condition.window_s // step_s))
    evaluator = Evaluator(source=source, grid=grid)
    groups = {}
    for group, values in evaluator.of(anomalies.expression).items():
        recent = max(1, alert_s // step_s)
        share = _share(values, recent, anomalies.deviations, options.get("direction", "both"))
        if share is not None:
            groups[group] = Reading(value=share, newest=evaluator.newest.get(group, 0))
    by = max((leaf.by for leaf in tree.leaves(anomalies.expression)), key=len, default=())
    return Readings(groups=groups, by=by)


def _share(values: Values, recent: int, deviations: float, direction: str) -> float | None:
    history = [value for value in values[:-recent] if value is not None]
    newest = [value for value in values[-recent:] if value is not None]
    if len(history) < _LEAST_HISTORY or not newest:
        return None
    low, high = _band(history, deviations)
    above = sum(value > high for value in newest) if direction in ("above", "both") else 0
    below = sum(value < low for value in newest) if direction in ("below", "both") else 0
    return (above + below) / len(newest)


def _band(history: Sequence[float], deviations: float) -> tuple[float, float]:
    middle = statistics.median(history)
    spread = statistics.median(abs(value - middle) for value in history) * _NORMAL
    width = deviations * max(spread, abs(middle) * _LEAST_SPREAD)
    return middle - width, middle + width

"""Current value of a monitor's query, per group. Pure.

It does not apply thresholds or states: see `states`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog.evaluation import anomalies, burn, frames, logs
from purpleflea_sandbox.datadog.evaluation.frames import EVERYTHING, Grid, Group
from purpleflea_sandbox.datadog.evaluation.readings import Reading, Readings
from purpleflea_sandbox.datadog.evaluation.tracks import Source
from purpleflea_sandbox.datadog.evaluation.values import Evaluator, RefusedError
from purpleflea_sandbox.datadog.intake.log_store import LogStore
from purpleflea_sandbox.datadog.queries import tree

_FINE_STEPS = 60
_TIME_AGGREGATIONS = ("avg", "sum", "min", "max", "percentile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Data that conditions are evaluated on."""

    metrics: Source
    logs: LogStore
    objectives: Mapping[str, Mapping[str, Any]]
    """SLOs by id."""


def readings(condition: tree.Condition, data: Data, now: float) -> Readings:
    """Return the value of every group that has data. Raises RefusedError for a composite: see `composite`."""
    match condition:
        case tree.MetricCondition():
            return _metric(condition, data.metrics, now)
        case tree.LogCondition():
            return logs.readings(condition, data.logs, now)
        case tree.BurnRate():
            return burn.readings(condition, data.objectives, data.metrics, now)
        case _:
            raise RefusedError("a composite has no value of its own")


def _metric(condition: tree.MetricCondition, source: Source, now: float) -> Readings:
    if condition.aggregation not in _TIME_AGGREGATIONS:
        raise RefusedError(f"{condition.aggregation}(...) is not evaluated here")
    if isinstance(condition.expression, tree.Anomalies):
        return anomalies.readings(condition, condition.expression, source, now)
    leaves = tree.leaves(condition.expression)
    at_once = condition.aggregation == "percentile" or any(leaf.as_count for leaf in leaves)
    evaluator = Evaluator(source=source, grid=_grid(condition, now, at_once=at_once))
    frame = evaluator.of(condition.expression)
    how = "last" if at_once else condition.aggregation
    return Readings(
        groups={
            group: _reading(frames.reduced(values, how), evaluator, group)
            for group, values in frame.items()
        },
        zero_when_missing=bool(leaves) and all(leaf.as_count for leaf in leaves),
        by=max((leaf.by for leaf in leaves), key=len, default=()),
    )


def _grid(condition: tree.MetricCondition, now: float, *, at_once: bool) -> Grid:
    if at_once:
        return frames.whole(condition.window_s, now)
    return frames.steps(condition.window_s, now, most=_FINE_STEPS)


def _reading(value: float | None, evaluator: Evaluator, group: Group) -> Reading:
    newest, oldest = evaluator.newest, evaluator.oldest
    return Reading(
        value=value,
        newest=newest.get(group, newest.get(EVERYTHING, 0)),
        oldest=oldest.get(group, oldest.get(EVERYTHING, 0)),
    )

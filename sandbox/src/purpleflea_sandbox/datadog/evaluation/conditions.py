"""Current value of a monitor's query, per group. Pure.

It does not apply thresholds or states: see `states`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog.evaluation import anomalies, burn_rate, logs, time_grid
from purpleflea_sandbox.datadog.evaluation.group_values import GroupValue, GroupValues
from purpleflea_sandbox.datadog.evaluation.grouped_series import SeriesSource
from purpleflea_sandbox.datadog.evaluation.time_grid import UNGROUPED, Group, TimeGrid
from purpleflea_sandbox.datadog.evaluation.values import Evaluator, UnsupportedQueryError
from purpleflea_sandbox.datadog.intake.log_store import LogStore
from purpleflea_sandbox.datadog.queries import tree

_MAX_BUCKETS = 60
_TIME_AGGREGATIONS = ("avg", "sum", "min", "max", "percentile")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """Data that conditions are evaluated on."""

    metrics: SeriesSource
    logs: LogStore
    objectives: Mapping[str, Mapping[str, Any]]
    """SLOs by id."""


def evaluate(condition: tree.Condition, data: EvaluationData, now: float) -> GroupValues:
    """Return the value of every group that has data. Raises RefusedError for a composite: see `composite`."""
    match condition:
        case tree.MetricCondition():
            return _evaluate_metric(condition, data.metrics, now)
        case tree.LogCondition():
            return logs.evaluate(condition, data.logs, now)
        case tree.BurnRate():
            return burn_rate.evaluate(condition, data.objectives, data.metrics, now)
        case _:
            raise UnsupportedQueryError("a composite has no value")


def _evaluate_metric(
    condition: tree.MetricCondition, source: SeriesSource, now: float
) -> GroupValues:
    if condition.aggregation not in _TIME_AGGREGATIONS:
        raise UnsupportedQueryError(f"{condition.aggregation}(...) is not evaluated here")
    if isinstance(condition.expression, tree.Anomalies):
        return anomalies.evaluate(condition, condition.expression, source, now)
    leaves = tree.leaves(condition.expression)
    is_single_bucket = condition.aggregation == "percentile" or any(
        leaf.as_count for leaf in leaves
    )
    evaluator = Evaluator(
        source=source, grid=_grid(condition, now, is_single_bucket=is_single_bucket)
    )
    values_by_group = evaluator.of(condition.expression)
    reducer = "last" if is_single_bucket else condition.aggregation
    return GroupValues(
        groups={
            group: _group_value(time_grid.reduce_values(values, reducer), evaluator, group)
            for group, values in values_by_group.items()
        },
        zero_when_missing=bool(leaves) and all(leaf.as_count for leaf in leaves),
        by=max((leaf.by for leaf in leaves), key=len, default=()),
    )


def _grid(condition: tree.MetricCondition, now: float, *, is_single_bucket: bool) -> TimeGrid:
    if is_single_bucket:
        return time_grid.single_bucket(condition.window_s, now)
    return time_grid.round_grid(condition.window_s, now, max_buckets=_MAX_BUCKETS)


def _group_value(value: float | None, evaluator: Evaluator, group: Group) -> GroupValue:
    newest, oldest = evaluator.newest, evaluator.oldest
    return GroupValue(
        value=value,
        newest=newest.get(group, newest.get(UNGROUPED, 0)),
        oldest=oldest.get(group, oldest.get(UNGROUPED, 0)),
    )

"""Burn rate of an SLO's error budget: the share of failures divided by the allowed share. Pure."""

from collections.abc import Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import time_grid
from purpleflea_sandbox.datadog.evaluation.group_values import GroupValue, GroupValues
from purpleflea_sandbox.datadog.evaluation.grouped_series import SeriesSource
from purpleflea_sandbox.datadog.evaluation.time_grid import UNGROUPED
from purpleflea_sandbox.datadog.evaluation.values import Evaluator, UnsupportedQueryError
from purpleflea_sandbox.datadog.queries import read, tree

Objective = Mapping[str, Any]


def evaluate(
    condition: tree.BurnRate, objectives: Mapping[str, Objective], source: SeriesSource, now: float
) -> GroupValues:
    """Return the lower rate of both windows, because the alert fires only if both exceed the threshold."""
    objective = objectives.get(condition.slo)
    if objective is None:
        raise UnsupportedQueryError(f"SLO {condition.slo} does not exist")
    allowed = 100 - target(objective, condition.over_s)
    rates = []
    newest = 0.0
    for window_s in (condition.long_window_s, condition.short_window_s):
        share, newest_in_window = success_rate(objective, source, window_s, now)
        newest = max(newest, newest_in_window)
        rates.append(None if share is None else (100 - share) / allowed)
    known = [rate for rate in rates if rate is not None]
    groups = {UNGROUPED: GroupValue(value=min(known), newest=newest)} if len(known) == 2 else {}
    return GroupValues(groups=groups)


def success_rate(
    objective: Objective, source: SeriesSource, window_s: float, now: float
) -> tuple[float | None, float]:
    """Return the percentage of good events in the window (None if there were no events) and the time of the newest
    event.
    """
    evaluator = Evaluator(source=source, grid=time_grid.single_bucket(window_s, now))
    good = evaluator.of(read.series(objective["query"]["numerator"]))
    total = evaluator.of(read.series(objective["query"]["denominator"]))
    share = time_grid.combine("/", good, total, zero=True).get(UNGROUPED, [None])[0]
    newest = max(evaluator.newest.values(), default=0.0)
    return (None if share is None else share * 100), newest


def target(objective: Objective, over_s: float) -> float:
    """Return the SLO's target for a time frame, in percent. Raises RefusedError if it has none."""
    for threshold in objective["thresholds"]:
        if read.seconds(threshold["timeframe"]) == over_s:
            return float(threshold["target"])
    raise UnsupportedQueryError(f"the SLO has no target over {over_s / 86400:g} days")

"""Burn rate of an SLO's error budget: the share of failures divided by the allowed share. Pure."""

from collections.abc import Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import frames
from purpleflea_sandbox.datadog.evaluation.frames import EVERYTHING
from purpleflea_sandbox.datadog.evaluation.readings import Reading, Readings
from purpleflea_sandbox.datadog.evaluation.tracks import Source
from purpleflea_sandbox.datadog.evaluation.values import Evaluator, RefusedError
from purpleflea_sandbox.datadog.queries import read, tree

Objective = Mapping[str, Any]


def readings(
    condition: tree.BurnRate, objectives: Mapping[str, Objective], source: Source, now: float
) -> Readings:
    """Return the lower rate of both windows, because the alert fires only if both exceed the threshold."""
    objective = objectives.get(condition.slo)
    if objective is None:
        raise RefusedError(f"there is no SLO {condition.slo}")
    allowed = 100 - target(objective, condition.over_s)
    rates = []
    newest = 0.0
    for window_s in (condition.long_window_s, condition.short_window_s):
        share, seen = success(objective, source, window_s, now)
        newest = max(newest, seen)
        rates.append(None if share is None else (100 - share) / allowed)
    known = [rate for rate in rates if rate is not None]
    groups = {EVERYTHING: Reading(value=min(known), newest=newest)} if len(known) == 2 else {}
    return Readings(groups=groups)


def success(
    objective: Objective, source: Source, window_s: float, now: float
) -> tuple[float | None, float]:
    """Return the percentage of good events in the window (None if there were no events) and the time of the newest
    event.
    """
    evaluator = Evaluator(source=source, grid=frames.whole(window_s, now))
    good = evaluator.of(read.series(objective["query"]["numerator"]))
    made = evaluator.of(read.series(objective["query"]["denominator"]))
    share = frames.combined("/", good, made, zero=True).get(EVERYTHING, [None])[0]
    newest = max(evaluator.newest.values(), default=0.0)
    return (None if share is None else share * 100), newest


def target(objective: Objective, over_s: float) -> float:
    """Return the SLO's target for a time frame, in percent. Raises RefusedError if it has none."""
    for one in objective["thresholds"]:
        if read.seconds(one["timeframe"]) == over_s:
            return float(one["target"])
    raise RefusedError(f"the SLO has no target over {over_s / 86400:g} days")

"""State of an SLO, over the stored part of its time frame. Pure."""

from collections.abc import Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import burn_rate
from purpleflea_sandbox.datadog.evaluation.grouped_series import SeriesSource
from purpleflea_sandbox.datadog.queries import read


def objective_data(
    objective: Mapping[str, Any], source: SeriesSource, now: float
) -> Mapping[str, Any]:
    """Return success, target and remaining error budget in percent; None if there is no data."""
    threshold = objective["thresholds"][0]
    share, _ = burn_rate.success_rate(objective, source, read.seconds(threshold["timeframe"]), now)
    target = float(threshold["target"])
    left = None if share is None else (share - target) / (100 - target) * 100
    return {
        "name": objective["name"],
        "timeframe": threshold["timeframe"],
        "target": target,
        "success": share,
        "budget_left": left,
        "tone": "" if share is None else _tone(share, target, threshold.get("warning")),
    }


def _tone(share: float, target: float, warning: float | None) -> str:
    if share < target:
        return "bad"
    return "warn" if warning is not None and share < warning else "good"

"""Statistics of the benchmark: percentiles, quantiles of histograms, and linear fits. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values (0 to 1) does not exceed; NaN without values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def histogram_quantile(buckets: Mapping[float, float], share: float) -> float:
    """Return a quantile of a cumulative histogram, interpolated as in Prometheus; NaN without observations.

    `buckets` has the number of observations up to each upper bound, the bound infinity included.
    """
    total = max(buckets.values(), default=0.0)
    if not total:
        return math.nan
    rank, lower, below = share * total, 0.0, 0.0
    for upper, count in sorted(buckets.items()):
        if count >= rank and count > below:
            return (
                lower
                if math.isinf(upper)
                else lower + (upper - lower) * (rank - below) / (count - below)
            )
        lower, below = upper, count
    return lower


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The line y = slope * x + intercept with the least relative error."""

    slope: float
    intercept: float
    residuals: tuple[float, ...]
    """(measured - fitted) / fitted of each point."""

    @property
    def worst(self) -> float:
        """Largest residual, without its sign."""
        return max(map(abs, self.residuals), default=0.0)


def linear_fit(points: Sequence[tuple[float, float]]) -> Fit | None:
    """Return the fit through points (x, y); None with fewer than two different x.

    Points are weighted with 1/y^2, so that each size counts by its relative error, and 10,000 agents do not hide the
    error at 100.
    """
    known = [(x, y) for x, y in points if y > 0]
    if len({x for x, _ in known}) < 2:
        return None
    weights = [1 / y**2 for _, y in known]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, known, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, known, strict=True)) / total
    above = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, known, strict=True))
    below = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, known, strict=True))
    slope = above / below
    intercept = mean_y - slope * mean_x
    fitted = [slope * x + intercept for x, _ in known]
    residuals = tuple(
        (y - line) / line if line > 0 else math.inf
        for (_, y), line in zip(known, fitted, strict=True)
    )
    return Fit(slope=slope, intercept=intercept, residuals=residuals)

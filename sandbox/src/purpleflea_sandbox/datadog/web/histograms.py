"""Histograms and heat maps: the number of values per range, in total and over time. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from purpleflea_sandbox.datadog.evaluation.grouped_series import (
    Sample,
    SeriesSource,
    TaggedSeries,
    matching_series,
)
from purpleflea_sandbox.datadog.evaluation.time_grid import TimeGrid
from purpleflea_sandbox.datadog.evaluation.values import distributions_by_bucket
from purpleflea_sandbox.datadog.intake.series import percentile
from purpleflea_sandbox.datadog.queries import tree

Distributions = Sequence[TaggedSeries]
_BINS = 24
_RANKS = (50, 75, 90, 95, 99)


def find_distributions(
    query: tree.MetricQuery, source: SeriesSource, grid: TimeGrid
) -> Distributions:
    """Return the distributions that match a query."""
    return [
        series
        for series in matching_series(source, query, grid.start)
        if series.type == "distribution"
    ]


def distribution(series: Distributions, grid: TimeGrid) -> Mapping[str, Any]:
    """Return counts per range of values, and the usual percentiles."""
    cells = _samples(series, grid)
    samples = sorted(sample for cell in cells for sample in cell)
    edges = _range_edges(samples)
    counts = _counts(samples, edges)
    return {
        "edges": edges,
        "counts": counts,
        "total": round(math.fsum(weight for _, weight in samples)),
        "percentiles": _percentiles(samples),
    }


def heat_map(series: Distributions, grid: TimeGrid) -> Mapping[str, Any]:
    """Return counts per time bucket and range of values: [bucket, range, count]; empty cells are omitted."""
    cells = _samples(series, grid)
    edges = _range_edges(sorted(sample for cell in cells for sample in cell))
    counted = [
        [column, row, count]
        for column, cell in enumerate(cells)
        for row, count in enumerate(_counts(cell, edges))
        if count
    ]
    times = [int(moment * 1000) for moment in grid.times]
    return {"times": times, "edges": edges, "cells": counted}


def _percentiles(samples: Sequence[Sample]) -> Mapping[str, float]:
    return {f"p{rank}": percentile(samples, rank) for rank in _RANKS} if samples else {}


def _samples(series: Distributions, grid: TimeGrid) -> Sequence[Sequence[Sample]]:
    return [
        [sample for point in cell for sample in point.samples]
        for cell in distributions_by_bucket(series, grid)
    ]


def _range_edges(samples: Sequence[Sample]) -> list[float]:
    """Return ranges of a round width from 0 to beyond the 99th percentile. The last range has all larger values."""
    if not samples:
        return []
    top = max(percentile(samples, 99) * 1.1, 1e-9)
    exponent = 10 ** math.floor(math.log10(top / _BINS))
    width = next(f * exponent for f in (1, 2, 2.5, 5, 10) if f * exponent * _BINS >= top)
    count = max(1, math.ceil(top / width))
    return [round(width * index, 12) for index in range(count + 1)]


def _counts(samples: Iterable[Sample], edges: Sequence[float]) -> list[float]:
    counts = [0.0] * max(0, len(edges) - 1)
    if not counts:
        return counts
    width = edges[1] - edges[0]
    for value, weight in samples:
        counts[min(len(counts) - 1, max(0, int(value / width)))] += weight
    return [round(count, 3) for count in counts]

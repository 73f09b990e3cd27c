"""Histograms and heat maps: the number of values per range, in total and over time. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from purpleflea_sandbox.datadog.evaluation.frames import Grid
from purpleflea_sandbox.datadog.evaluation.tracks import Sample, Source, Track, chosen
from purpleflea_sandbox.datadog.evaluation.values import spreads_by_bucket
from purpleflea_sandbox.datadog.intake.series import percentile
from purpleflea_sandbox.datadog.queries import tree

Tracks = Sequence[Track]
_BINS = 24
_RANKS = (50, 75, 90, 95, 99)


def tracks(query: tree.Series, source: Source, grid: Grid) -> Tracks:
    """Return the distributions that match a query."""
    return [one for one in chosen(source, query, grid.start) if one.type == "distribution"]


def distribution(found: Tracks, grid: Grid) -> Mapping[str, Any]:
    """Return counts per range of values, and the usual percentiles."""
    cells = _samples(found, grid)
    samples = sorted(sample for cell in cells for sample in cell)
    edges = _edges(samples)
    counts = _counted(samples, edges)
    return {
        "edges": edges,
        "counts": counts,
        "total": round(math.fsum(weight for _, weight in samples)),
        "percentiles": _percentiles(samples),
    }


def heat_map(found: Tracks, grid: Grid) -> Mapping[str, Any]:
    """Return counts per time bucket and range of values: [bucket, range, count]; empty cells are omitted."""
    cells = _samples(found, grid)
    edges = _edges(sorted(sample for cell in cells for sample in cell))
    counted = [
        [column, row, count]
        for column, cell in enumerate(cells)
        for row, count in enumerate(_counted(cell, edges))
        if count
    ]
    times = [int(moment * 1000) for moment in grid.times]
    return {"times": times, "edges": edges, "cells": counted}


def _percentiles(samples: Sequence[Sample]) -> Mapping[str, float]:
    return {f"p{rank}": percentile(samples, rank) for rank in _RANKS} if samples else {}


def _samples(found: Tracks, grid: Grid) -> Sequence[Sequence[Sample]]:
    return [
        [sample for spread in cell for sample in spread.samples]
        for cell in spreads_by_bucket(found, grid)
    ]


def _edges(samples: Sequence[Sample]) -> list[float]:
    """Return ranges of a round width from 0 to beyond the 99th percentile. The last range includes all larger values."""
    if not samples:
        return []
    top = max(percentile(samples, 99) * 1.1, 1e-9)
    exponent = 10 ** math.floor(math.log10(top / _BINS))
    width = next(f * exponent for f in (1, 2, 2.5, 5, 10) if f * exponent * _BINS >= top)
    count = max(1, math.ceil(top / width))
    return [round(width * index, 12) for index in range(count + 1)]


def _counted(samples: Iterable[Sample], edges: Sequence[float]) -> list[float]:
    counts = [0.0] * max(0, len(edges) - 1)
    if not counts:
        return counts
    width = edges[1] - edges[0]
    for value, weight in samples:
        counts[min(len(counts) - 1, max(0, int(value / width)))] += weight
    return [round(count, 3) for count in counts]

"""Series source backed by the intake's stores: metrics as received, and trace metrics computed from spans.

As in Datadog, only top-level and measured spans produce trace.<name>, in seconds, and only some of their tags are
kept. Evaluation runs in threads, so the lock is held for at most 200 series at a time and senders do not wait long.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.evaluation.grouped_series import DistributionPoint, TaggedSeries
from purpleflea_sandbox.datadog.intake.series import Series
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.intake.trace_store import Trace

TRACE_PREFIX = "trace."
_TRACE_TAGS = ("env", "service", "version", "resource_name")
"""Tags that trace metrics can be filtered and grouped by. A span's own tags are not included."""
_BATCH_SIZE = 200
_DISTRIBUTION_SLACK_S = 120
"""Points arrive nearly sorted by time. If a point is older than the wanted time by this much, all earlier points are
older too.
"""


@dataclass(frozen=True, slots=True)
class StoreSource:
    """Source that reads series from the intake's stores."""

    store: Store

    def find_series(self, metric: str, tags: Sequence[str], since: float) -> Iterable[TaggedSeries]:
        if metric.startswith(TRACE_PREFIX):
            return _span_series(self.store, metric.removeprefix(TRACE_PREFIX), tags, since)
        return self._stored_series(metric, tags, since)

    def _stored_series(
        self, metric: str, tags: Sequence[str], since: float
    ) -> Iterator[TaggedSeries]:
        with self.store.lock:
            matches = self.store.series.find(metric, tags)
        for start in range(0, len(matches), _BATCH_SIZE):
            with self.store.lock:
                batch = [
                    _tagged_series(series, since) for series in matches[start : start + _BATCH_SIZE]
                ]
            yield from (tagged for tagged in batch if tagged is not None)


def _tagged_series(series: Series, since: float) -> TaggedSeries | None:
    points = series.points.since(since)
    distributions = _distribution_points(series, since)
    if not points and not distributions:
        return None
    return TaggedSeries(
        tags=(*series.tags, f"host:{series.host}"),
        type=series.type,
        interval_s=series.interval,
        points=points,
        distributions=distributions,
    )


def _distribution_points(series: Series, since: float) -> Sequence[DistributionPoint]:
    if not series.distributions:
        return ()
    points: list[DistributionPoint] = []
    for timestamp, point in reversed(series.distributions):
        if timestamp < since - _DISTRIBUTION_SLACK_S:
            break
        if timestamp >= since:
            weight = point.count / len(point.values)
            samples = [(value, weight) for value in point.values]
            points.append(
                DistributionPoint(
                    timestamp=timestamp,
                    count=point.count,
                    sum=point.sum,
                    min=point.min,
                    max=point.max,
                    samples=samples,
                )
            )
    return points


def _span_series(
    store: Store, name: str, tags: Sequence[str], since: float
) -> Iterable[TaggedSeries]:
    wanted = set(tagging.normalised_all(tags))
    groups: dict[tuple[str, ...], list[DistributionPoint]] = {}
    with store.lock:
        measured = [
            (span, trace)
            for trace in store.traces.find(name=name, limit=len(store.traces))
            for span in trace.spans.values()
            if span["name"] == name and _is_measured(span)
        ]
    for span, trace in measured:
        ended = (span["start"] + span["duration"]) / 1e9
        if ended < since:
            continue
        span_tags = _span_tags(span, trace)
        if wanted <= set(span_tags):
            groups.setdefault(span_tags, []).append(_span_point(ended, span["duration"] / 1e9))
    for span_tags, distributions in groups.items():
        yield TaggedSeries(tags=span_tags, type="distribution", distributions=distributions)


def _is_measured(span: Mapping[str, Any]) -> bool:
    metrics = span.get("metrics") or {}
    return bool(metrics.get("_dd.measured") or metrics.get("_dd.top_level"))


def _span_tags(span: Mapping[str, Any], trace: Trace) -> tuple[str, ...]:
    meta = span.get("meta") or {}
    values = {name: str(meta[name]) for name in ("env", "version") if meta.get(name)}
    for tag in trace.tags:
        name, value = tagging.split(tag)
        if name in _TRACE_TAGS:
            values.setdefault(name, value)
    values["service"] = str(span.get("service") or "")
    values["resource_name"] = str(span.get("resource") or "")
    return tagging.normalised_all(f"{name}:{value}" for name, value in values.items())


def _span_point(timestamp: float, value: float) -> DistributionPoint:
    return DistributionPoint(
        timestamp=timestamp, count=1, sum=value, min=value, max=value, samples=((value, 1.0),)
    )

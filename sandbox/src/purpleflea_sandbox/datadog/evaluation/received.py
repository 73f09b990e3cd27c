"""Series source backed by the intake's stores: metrics as received, and trace metrics computed from spans.

As in Datadog, only top-level and measured spans produce trace.<name>, in seconds, and only some of their tags are
kept. Evaluation runs in threads, so the lock is held for at most 200 series at a time and senders do not wait long.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.evaluation.tracks import Spread, Track
from purpleflea_sandbox.datadog.intake.series import Series
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.intake.trace_store import Trace

TRACE_PREFIX = "trace."
_TRACE_TAGS = ("env", "service", "version", "resource_name")
"""Tags that trace metrics can be filtered and grouped by. A span's own tags are not included."""
_AT_ONCE = 200
_DISTRIBUTION_SLACK_S = 120
"""Points arrive nearly sorted by time. If a point is older than the wanted time by this much, all earlier points are
older too.
"""


@dataclass(frozen=True, slots=True)
class Received:
    """Source that reads series from the intake's stores."""

    store: Store

    def tracks(self, metric: str, tags: Sequence[str], since: float) -> Iterable[Track]:
        if metric.startswith(TRACE_PREFIX):
            return _span_tracks(self.store, metric.removeprefix(TRACE_PREFIX), tags, since)
        return self._series_tracks(metric, tags, since)

    def _series_tracks(self, metric: str, tags: Sequence[str], since: float) -> Iterator[Track]:
        with self.store.lock:
            found = self.store.series.find(metric, tags)
        for start in range(0, len(found), _AT_ONCE):
            with self.store.lock:
                tracks = [_track(series, since) for series in found[start : start + _AT_ONCE]]
            yield from (track for track in tracks if track is not None)


def _track(series: Series, since: float) -> Track | None:
    points = series.points.since(since)
    spreads = _spreads(series, since)
    if not points and not spreads:
        return None
    return Track(
        tags=(*series.tags, f"host:{series.host}"),
        type=series.type,
        interval_s=series.interval,
        points=points,
        spreads=spreads,
    )


def _spreads(series: Series, since: float) -> Sequence[Spread]:
    if not series.distributions:
        return ()
    found: list[Spread] = []
    for timestamp, point in reversed(series.distributions):
        if timestamp < since - _DISTRIBUTION_SLACK_S:
            break
        if timestamp >= since:
            weight = point.count / len(point.values)
            samples = [(value, weight) for value in point.values]
            found.append(
                Spread(
                    timestamp=timestamp,
                    count=point.count,
                    sum=point.sum,
                    min=point.min,
                    max=point.max,
                    samples=samples,
                )
            )
    return found


def _span_tracks(store: Store, name: str, tags: Sequence[str], since: float) -> Iterable[Track]:
    wanted = set(tagging.normalised_all(tags))
    groups: dict[tuple[str, ...], list[Spread]] = {}
    with store.lock:
        found = [
            (span, trace)
            for trace in store.traces.find(name=name, limit=len(store.traces))
            for span in trace.spans.values()
            if span["name"] == name and _is_measured(span)
        ]
    for span, trace in found:
        ended = (span["start"] + span["duration"]) / 1e9
        if ended < since:
            continue
        carried = _span_tags(span, trace)
        if wanted <= set(carried):
            groups.setdefault(carried, []).append(_spread(ended, span["duration"] / 1e9))
    for carried, spreads in groups.items():
        yield Track(tags=carried, type="distribution", spreads=spreads)


def _is_measured(span: Mapping[str, Any]) -> bool:
    metrics = span.get("metrics") or {}
    return bool(metrics.get("_dd.measured") or metrics.get("_dd.top_level"))


def _span_tags(span: Mapping[str, Any], trace: Trace) -> tuple[str, ...]:
    meta = span.get("meta") or {}
    found = {name: str(meta[name]) for name in ("env", "version") if meta.get(name)}
    for tag in trace.tags:
        name, value = tagging.split(tag)
        if name in _TRACE_TAGS:
            found.setdefault(name, value)
    found["service"] = str(span.get("service") or "")
    found["resource_name"] = str(span.get("resource") or "")
    return tagging.normalised_all(f"{name}:{value}" for name, value in found.items())


def _spread(timestamp: float, value: float) -> Spread:
    return Spread(
        timestamp=timestamp, count=1, sum=value, min=value, max=value, samples=((value, 1.0),)
    )

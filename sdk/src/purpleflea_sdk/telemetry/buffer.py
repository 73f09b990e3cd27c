"""Metric points between two flushes: a point costs one append, and a background thread passes points to the client.

Counts are summed, a gauge keeps its last value, and a distribution keeps every sample. Many samples share one line of
the protocol. The client of datadog aggregates too, but costs three times as much per point. dogstatsd checks tags.
"""

import contextlib
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from datadog.dogstatsd.base import DogStatsd

from purpleflea_contract.metrics import Metric, MetricType

SAMPLES_PER_LINE = 32
"""Keeps a line, tags included, well below the smallest packet of 1432 bytes."""

logger = logging.getLogger("purpleflea.telemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferedSeries:
    """Points of one metric with one set of tags. An append is atomic, so every thread may append without a lock."""

    metric: Metric
    tags: list[str]
    points: deque[float]
    record: Callable[[float], None]
    """Receives the values for the /metrics page."""

    def take_points(self) -> list[float]:
        """Remove and return the points so far."""
        # Only this method removes points, under the lock of flush. Points appended meanwhile stay for the next flush.
        return [self.points.popleft() for _ in range(len(self.points))]


class MetricBuffer:
    """All series of a process, and the thread that flushes them."""

    def __init__(
        self, client: DogStatsd, *, interval_s: float, legacy_histograms: bool = False
    ) -> None:
        self._client = client
        self._send_samples = client.histogram if legacy_histograms else client.distribution
        self._interval_s = interval_s
        self._series: dict[tuple[str, ...], BufferedSeries] = {}
        self._flush_lock = threading.Lock()
        self._closed = threading.Event()
        self._start()
        _buffers.add(self)

    def series(
        self, metric: Metric, tag_values: Mapping[str, str], record: Callable[[float], None]
    ) -> BufferedSeries:
        """Return the series of a metric with these tags; create it at the first use."""
        tags = [f"{name}:{value}" for name, value in tag_values.items()]
        key = (metric.name, *tags)
        series = self._series.get(key)
        if series is None:
            length = 1 if metric.type is MetricType.GAUGE else None
            new = BufferedSeries(
                metric=metric, tags=tags, points=deque(maxlen=length), record=record
            )
            series = self._series.setdefault(key, new)
        return series

    def flush(self) -> None:
        """Pass all points to the client."""
        with self._flush_lock:
            for series in tuple(self._series.values()):
                points = series.take_points()
                if points:
                    self._send(series, points)
            self._client.flush()

    def close(self) -> None:
        """Stop the thread, then flush the remaining points."""
        self._closed.set()
        self._thread.join()
        self.flush()

    def before_fork(self) -> None:
        """Wait for a flush in progress, so that the child process gets a consistent copy."""
        self._flush_lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Continue."""
        self._flush_lock.release()

    def after_fork_in_child(self) -> None:
        """Start again: a child process has no threads, and the parent sends the points before the fork."""
        self._flush_lock = threading.Lock()
        for series in self._series.values():
            series.points.clear()
        if not self._closed.is_set():
            self._closed = threading.Event()
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._interval_s):
            try:
                self.flush()
            except Exception:  # one failed flush must not end the thread
                with contextlib.suppress(Exception):
                    logger.exception("Metrics of one interval were lost")

    def _send(self, series: BufferedSeries, points: Sequence[float]) -> None:
        name, tags = series.metric.name, series.tags
        match series.metric.type:
            case MetricType.GAUGE:
                series.record(points[-1])
                self._client.gauge(name, points[-1], tags=tags)
            case MetricType.COUNT:
                total = sum(points)
                series.record(total)
                self._client.increment(name, total, tags=tags)
            case MetricType.DISTRIBUTION:
                for point in points:
                    series.record(point)
                _send_in_lines(self._send_samples, series, points)


_buffers: "weakref.WeakSet[MetricBuffer]" = weakref.WeakSet()


def _at_fork(method: Callable[[MetricBuffer], None]) -> Callable[[], None]:
    def call() -> None:
        for buffer in tuple(_buffers):
            method(buffer)

    return call


os.register_at_fork(
    before=_at_fork(MetricBuffer.before_fork),
    after_in_parent=_at_fork(MetricBuffer.after_fork_in_parent),
    after_in_child=_at_fork(MetricBuffer.after_fork_in_child),
)


def _send_in_lines(
    send: Callable[..., None], series: BufferedSeries, points: Sequence[float]
) -> None:
    for start in range(0, len(points), SAMPLES_PER_LINE):
        samples = points[start : start + SAMPLES_PER_LINE]
        # Protocol 1.1 allows several values in one line, and the client sends a string unchanged.
        send(series.metric.name, ":".join(map(repr, samples)), tags=series.tags)

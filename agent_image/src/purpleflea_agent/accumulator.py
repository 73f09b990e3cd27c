"""Metric points between two flushes: taking one costs an append, and a thread of its own hands them to the client.

Counts are added up, of gauges the last value stays, and every sample of a distribution is kept; many samples share
one line of the protocol. What a metric may be tagged with is the emitter's business.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from datadog.dogstatsd.base import DogStatsd

from purpleflea_contract.metrics import Metric, MetricType

SAMPLES_PER_LINE = 32
"""Keeps a line well below the smallest packet of 1432 bytes, tags included."""

logger = logging.getLogger("purpleflea.telemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one metric with one set of tags. Appending is atomic, so that any thread may do it without a lock."""

    metric: Metric
    tags: list[str]
    points: deque[float]
    record: Callable[[float], None]
    """Takes what the page for /metrics shows of the series."""

    def taken(self) -> list[float]:
        """The points so far, which are no longer here."""
        # Only this takes away, under the lock of drain: what is appended meanwhile stays for the next time.
        return [self.points.popleft() for _ in range(len(self.points))]


class Accumulator:
    """All series of a process."""

    def __init__(
        self, client: DogStatsd, *, interval_s: float, legacy_histograms: bool = False
    ) -> None:
        self._client = client
        self._samples = client.histogram if legacy_histograms else client.distribution
        self._interval_s = interval_s
        self._series: dict[tuple[str, ...], Series] = {}
        self._draining = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def series(
        self, metric: Metric, tag_values: Mapping[str, str], record: Callable[[float], None]
    ) -> Series:
        """The series of a metric with these tags."""
        tags = [f"{name}:{value}" for name, value in tag_values.items()]
        key = (metric.name, *tags)
        found = self._series.get(key)
        if found is None:
            kept = 1 if metric.type is MetricType.GAUGE else None
            made = Series(metric=metric, tags=tags, points=deque(maxlen=kept), record=record)
            found = self._series.setdefault(key, made)
        return found

    def drain(self) -> None:
        """Hand all points over to the client."""
        with self._draining:
            for series in tuple(self._series.values()):
                points = series.taken()
                if points:
                    self._hand_over(series, points)
            self._client.flush()

    def close(self) -> None:
        """Stop the thread, and hand over what is left."""
        self._closed.set()
        self._thread.join()
        self.drain()

    def _run(self) -> None:
        while not self._closed.wait(self._interval_s):
            try:
                self.drain()
            except Exception:  # the edge: telemetry that fails once must not be lost for ever
                with contextlib.suppress(Exception):
                    logger.exception("Metrics of one interval were lost")

    def _hand_over(self, series: Series, points: Sequence[float]) -> None:
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
                _hand_over_samples(self._samples, series, points)


def _hand_over_samples(send: Callable[..., None], series: Series, points: Sequence[float]) -> None:
    for start in range(0, len(points), SAMPLES_PER_LINE):
        samples = points[start : start + SAMPLES_PER_LINE]
        # Protocol 1.1: several values in one line, which the client passes on as they are.
        send(series.metric.name, ":".join(map(repr, samples)), tags=series.tags)

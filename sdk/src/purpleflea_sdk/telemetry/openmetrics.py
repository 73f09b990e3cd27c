"""The metrics of the contract as OpenMetrics or Prometheus text, for /metrics: the same names and tags, last values.

Values are in small cells, because every point pays for its cell: 0.5 to 1.2 us with the metric classes of
prometheus_client, 0.1 to 0.4 us here. The library writes the text. A distribution is a histogram, because the text
format has no distributions. dogstatsd checks and bounds tags.
"""

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from purpleflea_contract.metrics import METRICS, TELEMETRY_DROPPED, Metric, MetricType
from purpleflea_sdk.telemetry import drop_counters

BUCKETS = {
    "millisecond": (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    "second": (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1),
    "dollar": (1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10000),
}
"""Upper bounds of the histogram buckets, by the unit of the metric."""

Record = Callable[[float], None]
Labels = tuple[str, ...]


class ScalarCell:
    """One series of a gauge or a count."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """Replace the value, for a gauge."""
        self.value = value

    def add(self, value: float) -> None:
        """Add to the value, for a count."""
        self.value += value


class HistogramCell:
    """One series of a distribution: the number of values below each bound."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """Return the counts up to each bound, and the sum of all values."""
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, itertools.accumulate(self._counts), strict=True)), self._sum


class OpenMetricsCollector(Collector):
    """The last values of every metric of the contract, with the identity of the agent."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self._identity = dict(identity)
        self._series: dict[str, dict[Labels, ScalarCell | HistogramCell]] = {
            item.name: {} for item in METRICS
        }
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def recorder(self, metric: Metric, tag_values: Mapping[str, str]) -> Record:
        """Return the function that receives the values of one series of `metric`."""
        if metric is TELEMETRY_DROPPED:
            return _ignore
        values = {**tag_values, **self._identity}
        labels = tuple(values.get(name, "") for name in metric.tag_names)
        is_histogram = metric.type is MetricType.DISTRIBUTION
        new = HistogramCell(BUCKETS[metric.unit]) if is_histogram else ScalarCell()
        cell = self._series[metric.name].setdefault(labels, new)
        if isinstance(cell, ScalarCell) and metric.type is MetricType.GAUGE:
            return cell.set
        return cell.add

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type, in the format that the Accept header requests."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def collect(self) -> Iterator[Family]:
        """Yield every metric, also if it has no value yet."""
        for metric in METRICS:
            yield self._drops() if metric is TELEMETRY_DROPPED else self._family(metric)

    def _drops(self) -> Family:
        """Return the current counts of dropped telemetry; reports of them could be dropped too."""
        metric = TELEMETRY_DROPPED
        family = CounterMetricFamily(
            metric.exposed_name, metric.description, labels=metric.tag_names
        )
        for signal, dropped in drop_counters.counts().items():
            labels = {**self._identity, "signal": signal}
            family.add_metric([labels[name] for name in metric.tag_names], dropped)
        return family

    def _family(self, metric: Metric) -> Family:
        header = (metric.exposed_name, metric.description)
        series = tuple(self._series[metric.name].items())
        if metric.type is MetricType.DISTRIBUTION:
            histogram = HistogramMetricFamily(*header, labels=metric.tag_names)
            for labels, cell in series:
                if isinstance(cell, HistogramCell):
                    buckets, total = cell.cumulative()
                    histogram.add_metric(labels, buckets=buckets, sum_value=total)
            return histogram
        kind = GaugeMetricFamily if metric.type is MetricType.GAUGE else CounterMetricFamily
        family = kind(*header, labels=metric.tag_names)
        for labels, cell in series:
            if isinstance(cell, ScalarCell):
                family.add_metric(labels, cell.value)
        return family


def _ignore(_: float) -> None:
    """Discard a report of dropped telemetry, because the page has the current counts."""

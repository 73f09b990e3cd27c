"""The metrics of the contract as OpenMetrics or Prometheus text, for /metrics: the same names and tags, as the agent
last knew them.

Values are kept in plain cells, because every point pays for its cell (0.5 to 1.2 us through prometheus_client's own
metrics, 0.1 to 0.4 us here); the library writes the text. Distributions are histograms, as the text format knows no
others. What is measured, and that values are bounded, is the emitter's business.
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

from purpleflea_agent import losses
from purpleflea_contract.metrics import METRICS, TELEMETRY_DROPPED, Metric, MetricType

BUCKETS = {
    "millisecond": (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    "second": (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1),
    "dollar": (1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10000),
}
"""Upper bounds of the histograms, by the unit of the metric."""

Record = Callable[[float], None]
Labels = tuple[str, ...]


class Cell:
    """One series of a gauge or a count."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """The last value is the value."""
        self.value = value

    def add(self, value: float) -> None:
        """Values add up."""
        self.value += value


class Spread:
    """One series of a distribution: how many values lie below each bound."""

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
        """Counts up to each bound, and the sum of all values."""
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, itertools.accumulate(self._counts), strict=True)), self._sum


class Exposition(Collector):
    """The last values of every metric of the contract, under the agent's identity."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self._identity = dict(identity)
        self._series: dict[str, dict[Labels, Cell | Spread]] = {item.name: {} for item in METRICS}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def record(self, metric: Metric, tag_values: Mapping[str, str]) -> Record:
        """What takes the values of one series of `metric`."""
        if metric is TELEMETRY_DROPPED:
            return _ignore
        values = {**tag_values, **self._identity}
        labels = tuple(values.get(name, "") for name in metric.tag_names)
        is_spread = metric.type is MetricType.DISTRIBUTION
        fresh = Spread(BUCKETS[metric.unit]) if is_spread else Cell()
        series = self._series[metric.name].setdefault(labels, fresh)
        if isinstance(series, Cell) and metric.type is MetricType.GAUGE:
            return series.set
        return series.add

    def text(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the format that the reader asks for."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def collect(self) -> Iterator[Family]:
        """Every metric, also one that has no value yet."""
        for metric in METRICS:
            yield self._losses() if metric is TELEMETRY_DROPPED else self._family(metric)

    def _losses(self) -> Family:
        """Losses as they stand now: reports of them get lost when they matter most."""
        metric = TELEMETRY_DROPPED
        family = CounterMetricFamily(
            metric.exposed_name, metric.description, labels=metric.tag_names
        )
        for signal, dropped in losses.counted().items():
            labels = {**self._identity, "signal": signal}
            family.add_metric([labels[name] for name in metric.tag_names], dropped)
        return family

    def _family(self, metric: Metric) -> Family:
        about = (metric.exposed_name, metric.description)
        series = tuple(self._series[metric.name].items())
        if metric.type is MetricType.DISTRIBUTION:
            histogram = HistogramMetricFamily(*about, labels=metric.tag_names)
            for labels, spread in series:
                if isinstance(spread, Spread):
                    buckets, total = spread.cumulative()
                    histogram.add_metric(labels, buckets=buckets, sum_value=total)
            return histogram
        kind = GaugeMetricFamily if metric.type is MetricType.GAUGE else CounterMetricFamily
        family = kind(*about, labels=metric.tag_names)
        for labels, cell in series:
            if isinstance(cell, Cell):
                family.add_metric(labels, cell.value)
        return family


def _ignore(_: float) -> None:
    """Reports of losses are not counted again."""

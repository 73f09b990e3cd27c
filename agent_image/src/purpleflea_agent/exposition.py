"""The metrics of the contract as OpenMetrics or Prometheus text, for /metrics: the same names and tags, as the agent
last knew them.

Distributions are histograms here, as the text format knows no others. What is measured, and that values are
bounded, is the emitter's business.
"""

from collections.abc import Callable, Iterator, Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
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


class _Losses(Collector):
    """Losses as they stand: reports of them get lost when they matter most."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self._identity = dict(identity)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The family of the losses."""
        metric = TELEMETRY_DROPPED
        family = CounterMetricFamily(
            metric.exposed_name, metric.description, labels=metric.tag_names
        )
        for signal, dropped in losses.counted().items():
            labels = {**self._identity, "signal": signal}
            family.add_metric([labels[name] for name in metric.tag_names], dropped)
        yield family


class Exposition:
    """The last values of every metric of the contract, under the agent's identity."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._identity = dict(identity)
        self._registry = CollectorRegistry()
        self._families = {
            metric.name: self._family(metric)
            for metric in METRICS
            if metric is not TELEMETRY_DROPPED
        }
        self._registry.register(_Losses(self._identity))

    def record(self, metric: Metric, tag_values: Mapping[str, str]) -> Record:
        """What takes the values of one series of `metric`."""
        if metric is TELEMETRY_DROPPED:
            return _ignore
        family = self._families[metric.name]
        labels = {name: tag_values.get(name, "") for name in metric.tag_names} | self._identity
        series = family.labels(**labels)
        if isinstance(series, Histogram):
            return series.observe
        return series.set if isinstance(series, Gauge) else series.inc

    def text(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the format that the reader asks for."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def _family(self, metric: Metric) -> Counter | Gauge | Histogram:
        name, help_text, labels = metric.exposed_name, metric.description, metric.tag_names
        match metric.type:
            case MetricType.GAUGE:
                return Gauge(name, help_text, labels, registry=self._registry)
            case MetricType.COUNT:
                return Counter(name, help_text, labels, registry=self._registry)
            case MetricType.DISTRIBUTION:
                buckets = BUCKETS[metric.unit]
                return Histogram(name, help_text, labels, buckets=buckets, registry=self._registry)


def _ignore(_: float) -> None:
    """Reports of losses are not counted again."""

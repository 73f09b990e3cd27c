"""The metrics of the contract as OpenMetrics or Prometheus text, for /metrics: the same names and tags, as the agent
last knew them.

Distributions are histograms here, as the text format knows no others. What is measured, and that values are
bounded, is the emitter's business.
"""

from collections.abc import Callable, Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from purpleflea_contract.metrics import METRICS, Metric, MetricType

BUCKETS = {
    "millisecond": (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    "second": (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1),
    "dollar": (1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10000),
}
"""Upper bounds of the histograms, by the unit of the metric."""

Record = Callable[[float], None]


class Exposition:
    """The last values of every metric of the contract, under the agent's identity."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._identity = dict(identity)
        self._registry = CollectorRegistry()
        self._families = {metric.name: self._family(metric) for metric in METRICS}

    def record(self, metric: Metric, tag_values: Mapping[str, str]) -> Record:
        """What takes the values of one series of `metric`."""
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

"""Metric configuration: the tags that can be queried (Metrics without Limits), and percentiles of distributions.

Tags that are not listed (host, pod, container) do not multiply the billed custom metrics. Datadog accepts a
configuration only if the metric has already reported.
"""

from purpleflea_contract import tags
from purpleflea_contract.metrics import METRICS, Metric, MetricType
from purpleflea_operator.datadog.definitions.objects import Body, Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

STORED_TYPES = {
    MetricType.GAUGE: "gauge",
    # A DogStatsD count is stored as a rate (Datadog documentation, "Metrics types").
    MetricType.COUNT: "rate",
    MetricType.DISTRIBUTION: "distribution",
}


def definitions(_: Parameters) -> tuple[Definition, ...]:
    """Return one configuration per metric of the contract."""
    return tuple(_configuration(metric) for metric in METRICS)


def _configuration(metric: Metric) -> Definition:
    attributes: Body = {
        "metric_type": STORED_TYPES[metric.type],
        "tags": [*tags.UNIFIED, *metric.tag_names],
    }
    if metric.type is MetricType.DISTRIBUTION:
        attributes["include_percentiles"] = True
    body = {"data": {"type": "manage_tags", "id": metric.name, "attributes": attributes}}
    return Definition(
        kind=ObjectKind.METRIC_TAGS, key=metric.name, body=body, feature=Feature.METRICS
    )

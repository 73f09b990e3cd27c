"""Counters that others feed by plain calls, and gauges that are read off the moment somebody scrapes.

It decides nothing, and nothing waits for it. Each instance has a registry of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

PREFIX = "purpleflea_operator"
PASS_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the gauges are read."""

    is_leading: Callable[[], bool]
    queue_depth: Callable[[], int]
    queue_oldest_s: Callable[[], float]
    watch_silence_s: Callable[[], Mapping[str, float]]
    agents: Callable[[], int]
    conditions: Callable[[], Mapping[tuple[str, str], int]]
    replicas: Callable[[], tuple[int, int, int]]
    """Pods that exist, that are ready, that are observed."""


class Metrics:
    """All metrics of one operator."""

    def __init__(self, *, version: str) -> None:
        # A time of creation per series doubles what Datadog bills, and nobody looks at it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._requests = Counter(
            f"{PREFIX}_api_requests",
            "Requests to the Kubernetes API by verb, resource and code (or kind of failure).",
            ("verb", "resource", "code"),
            registry=self._registry,
        )
        self._passes = Histogram(
            f"{PREFIX}_reconcile_duration_seconds",
            "Duration of passes over one agent, by how they ended.",
            ("result",),
            buckets=PASS_BUCKETS_S,
            registry=self._registry,
        )
        self._datadog_requests = Counter(
            f"{PREFIX}_datadog_requests",
            "Requests to Datadog's API by method, endpoint and code (or kind of failure).",
            ("method", "endpoint", "code"),
            registry=self._registry,
        )
        self._syncs = Histogram(
            f"{PREFIX}_datadog_sync_duration_seconds",
            "Duration of passes over one PurpleFleaObservability, by how they ended.",
            ("result",),
            buckets=PASS_BUCKETS_S,
            registry=self._registry,
        )
        build = Gauge(
            f"{PREFIX}_build_info",
            "Always 1; the version is a label.",
            ("version",),
            registry=self._registry,
        )
        build.labels(version).set(1)

    def request(self, verb: str, resource: str, code: str) -> None:
        """Count a request."""
        self._requests.labels(verb, resource, code).inc()

    def reconciled(self, result: str, seconds: float) -> None:
        """Count a pass."""
        self._passes.labels(result).observe(seconds)

    def datadog_request(self, method: str, endpoint: str, code: str) -> None:
        """Count a request to Datadog's API."""
        self._datadog_requests.labels(method, endpoint, code).inc()

    def synchronised(self, result: str, seconds: float) -> None:
        """Count a pass over what Datadog should hold."""
        self._syncs.labels(result).observe(seconds)

    def read(self, sources: Sources) -> None:
        """Read the gauges from these sources from now on."""
        self._registry.register(_Gauges(sources))

    def text(self) -> bytes:
        """All metrics as they stand, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        sources = self._sources
        existing, ready, observed = sources.replicas()
        yield _gauge("leader", "1 where this replica leads.", float(sources.is_leading()))
        yield _gauge("queue_depth", "Agents in line.", sources.queue_depth())
        yield _gauge(
            "queue_oldest_seconds",
            "For how long the agent at the head of the line has waited.",
            sources.queue_oldest_s(),
        )
        yield _gauge(
            "watch_silence_seconds",
            "For how long the quietest watch has heard nothing, not even a bookmark.",
            max(sources.watch_silence_s().values(), default=0.0),
        )
        yield _gauge("agents", "PurpleFleaAgent resources.", sources.agents())
        yield _gauge("identities", "Trading pods that exist.", existing)
        yield _gauge("identities_ready", "Trading pods that are ready.", ready)
        yield _gauge(
            "identities_observed", "Trading pods whose telemetry is proven to arrive.", observed
        )
        yield _gauge(
            "telemetry_coverage_ratio",
            "Observed trading pods of all; 1 where there are none.",
            observed / existing if existing else 1.0,
        )
        conditions = GaugeMetricFamily(
            f"{PREFIX}_agent_conditions",
            "Agents by type and status of their conditions.",
            labels=("condition", "status"),
        )
        for labels, number in sorted(sources.conditions().items()):
            conditions.add_metric(labels, number)
        yield conditions


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", documentation, value=value)

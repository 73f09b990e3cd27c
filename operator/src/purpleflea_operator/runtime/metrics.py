"""Prometheus metrics of the operator: counters that other components increment, and gauges that are read per scrape.

Each instance has a separate registry. The module must not decide anything, and no component may wait for it.
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

from purpleflea_operator.datadog.definitions import operator_metrics

PREFIX = "purpleflea_operator"
MAX_FLEETS = 200
"""Most fleets that are reported, because any user who may create agents can name new ones."""
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
PASS_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeSources:
    """Functions that return the current values of the gauges."""

    is_leading: Callable[[], bool]
    queue_depth: Callable[[], int]
    queue_oldest_s: Callable[[], float]
    watch_silence_s: Callable[[], Mapping[str, float]]
    watch_failures: Callable[[], Mapping[str, str]]
    """The error of each watch by path; empty if the watch works."""
    agents: Callable[[], int]
    conditions: Callable[[], Mapping[tuple[str, str], int]]
    upgrades: Callable[[], tuple[Mapping[str, int], Mapping[str, int]]]
    """Numbers of agents by env: with a pending upgrade, and failing after their upgrade."""
    fleets: Callable[[], Mapping[tuple[str, str], tuple[int, float]]]
    """By env and service: number of agents, and longest time in seconds for which one of them has been halted. Empty if
    this replica does not lead."""
    replicas: Callable[[], tuple[int, int, int]]
    """Numbers of trading pods: existing, ready, and observed, which means that TelemetryReady of the agent is True."""


class Metrics:
    """Metrics of one operator process."""

    def __init__(self, *, version: str) -> None:
        # The creation time of each series would double the custom metrics that Datadog bills, and no dashboard uses it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX, registry=self._registry)
        self._requests = Counter(
            f"{PREFIX}_api_requests",
            "Requests to the Kubernetes API by verb, resource and status code (or type of error).",
            ("verb", "resource", "code"),
            registry=self._registry,
        )
        self._reconcile_duration = Histogram(
            f"{PREFIX}_reconcile_duration_seconds",
            "Duration of reconciles of a PurpleFleaAgent by result.",
            ("result",),
            buckets=PASS_BUCKETS_S,
            registry=self._registry,
        )
        self._datadog_requests = Counter(
            f"{PREFIX}_datadog_requests",
            "Requests to the Datadog API by method, endpoint and status code (or type of error).",
            ("method", "endpoint", "code"),
            registry=self._registry,
        )
        self._sync_duration = Histogram(
            f"{PREFIX}_datadog_sync_duration_seconds",
            "Duration of reconciles of a PurpleFleaObservability by result.",
            ("result",),
            buckets=PASS_BUCKETS_S,
            registry=self._registry,
        )
        self._loop_lag = Histogram(
            f"{PREFIX}_event_loop_lag_seconds",
            "Delay of the event loop, sampled ten times a second.",
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )
        self._own_loop_lag = Histogram(
            f"{PREFIX}_event_loop_own_lag_seconds",
            "Part of the delay of the event loop in which it ran. In the rest it waited for a processor.",
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )
        build = Gauge(
            f"{PREFIX}_build_info",
            "Always 1; the version is a label.",
            ("version",),
            registry=self._registry,
        )
        build.labels(version).set(1)

    def count_request(self, verb: str, resource: str, code: str) -> None:
        """Count a request to the Kubernetes API."""
        self._requests.labels(verb, resource, code).inc()

    def observe_reconcile(self, result: str, seconds: float) -> None:
        """Record the duration of a reconcile of a PurpleFleaAgent."""
        self._reconcile_duration.labels(result).observe(seconds)

    def observe_loop_lag(self, seconds: float, own_s: float) -> None:
        """Record a sample of the event-loop lag, and the part of it in which the loop ran."""
        self._loop_lag.observe(seconds)
        self._own_loop_lag.observe(own_s)

    def count_datadog_request(self, method: str, endpoint: str, code: str) -> None:
        """Count a request to the Datadog API."""
        self._datadog_requests.labels(method, endpoint, code).inc()

    def observe_sync(self, result: str, seconds: float) -> None:
        """Record the duration of a reconcile of a PurpleFleaObservability."""
        self._sync_duration.labels(result).observe(seconds)

    def register_gauges(self, sources: GaugeSources) -> None:
        """Export the gauges, with values from these sources. Must be called once."""
        self._registry.register(_GaugeCollector(sources))

    def exposition(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)


class _GaugeCollector(Collector):
    def __init__(self, sources: GaugeSources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        sources = self._sources
        existing, ready, observed = sources.replicas()
        yield _gauge("leader", "1 if this replica leads, else 0.", float(sources.is_leading()))
        yield _gauge("queue_depth", "Agents in the work queue.", sources.queue_depth())
        yield _gauge(
            "queue_oldest_seconds",
            "Waiting time of the first agent in the work queue.",
            sources.queue_oldest_s(),
        )
        yield _gauge(
            "watch_silence_seconds",
            "Longest time for which a watch received neither an event nor a bookmark.",
            max(sources.watch_silence_s().values(), default=0.0),
        )
        yield _watches_failing(sources.watch_failures())
        yield _gauge("agents", "PurpleFleaAgent resources.", sources.agents())
        yield _gauge("identities", "Trading pods that exist.", existing)
        yield _gauge("identities_ready", "Trading pods that are ready.", ready)
        yield _gauge(
            "identities_observed",
            "Trading pods of agents whose TelemetryReady condition is True.",
            observed,
        )
        yield _gauge(
            "telemetry_coverage_ratio",
            "Observed trading pods divided by all trading pods; 1 if there are no pods.",
            observed / existing if existing else 1.0,
        )
        pending, failing = sources.upgrades()
        yield _by_env(
            "upgrades_pending",
            "PurpleFleaAgent resources that wait for the pods of this version of the operator.",
            pending,
        )
        yield _by_env(
            "upgrades_failing",
            "PurpleFleaAgent resources that are not ready after an upgrade and stop the upgrade of others.",
            failing,
        )
        yield from _fleets(sources.fleets())
        conditions = GaugeMetricFamily(
            f"{PREFIX}_agent_conditions",
            "PurpleFleaAgent resources by condition type and status.",
            labels=("condition", "status"),
        )
        for labels, number in sorted(sources.conditions().items()):
            conditions.add_metric(labels, number)
        yield conditions


def _watches_failing(errors: Mapping[str, str]) -> Metric:
    """Return the number of failing watches by resource and namespace, 0 included. The cluster has no namespace."""
    gauge = GaugeMetricFamily(
        f"{PREFIX}_watches_failing",
        "Watches (one per namespace if the operator is bound to namespaces) that fail and are retried.",
        labels=("resource", "namespace"),
    )
    for path, error in sorted(errors.items()):
        prefix, _, resource = path.rpartition("/")
        namespace = prefix.partition("/namespaces/")[2]
        gauge.add_metric((resource, namespace), bool(error))
    return gauge


def _fleets(reports: Mapping[tuple[str, str], tuple[int, float]]) -> Iterator[Metric]:
    """Yield the metrics of the monitors operator-silent and halted. Only the leader has fleets."""
    labels = (operator_metrics.FLEET_ENV, operator_metrics.FLEET_SERVICE)
    agents = GaugeMetricFamily(
        f"{PREFIX}_{operator_metrics.AGENTS}",
        "PurpleFleaAgent resources by env and service. Only the leader reports them.",
        labels=labels,
    )
    halts = GaugeMetricFamily(
        f"{PREFIX}_{operator_metrics.LONGEST_HALT}",
        "Longest time for which an agent of the env and service has been halted.",
        labels=labels,
    )
    for fleet, (number, longest_halt_s) in list(reports.items())[:MAX_FLEETS]:
        agents.add_metric(fleet, number)
        halts.add_metric(fleet, longest_halt_s)
    yield agents
    yield halts


def _by_env(name: str, documentation: str, numbers: Mapping[str, int]) -> Metric:
    gauge = GaugeMetricFamily(f"{PREFIX}_{name}", documentation, labels=("env",))
    for env, number in sorted(numbers.items()):
        gauge.add_metric((env,), number)
    return gauge


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", documentation, value=value)

"""The custom metrics that an agent is expected to send, by metric and tags, from the contract. Pure."""

from dataclasses import dataclass

from kubectl_purpleflea.decisions.objects import Manifest, at, mapping, number
from purpleflea_contract import cardinality
from purpleflea_contract.cardinality import Sending
from purpleflea_contract.metrics import METRICS, MetricType


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Custom metrics of one metric, or of one other source."""

    metric: str
    tags: tuple[str, ...]
    per_agent: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Custom metrics of one agent resource."""

    agents: int
    markets: int
    rows: tuple[Row, ...]
    total: int
    budget: int | None = None

    @property
    def is_within_budget(self) -> bool:
        """Whether the number is at most the budget of the spec."""
        return self.budget is None or self.total <= self.budget


def cost(agent: Manifest) -> Cost:
    """Return the expected custom metrics of an agent in ordinary operation."""
    spec = mapping(agent.get("spec"))
    datadog = mapping(spec.get("datadog"))
    markets = spec.get("markets")
    count = len(markets) if isinstance(markets, list) else 0
    replicas = number(spec["replicas"]) if "replicas" in spec else 1
    sending = Sending(
        markets=count,
        histograms=datadog.get("legacyHistograms") is True,
        runtime=at(datadog, "apm", "runtimeMetrics") is True,
        check=at(datadog, "check", "enabled") is True,
        open_metrics=at(datadog, "openMetrics", "enabled") is True,
    )
    is_off = datadog.get("connection") == "Disabled"
    rows = () if is_off else tuple(_rows(sending, replicas))
    budget = datadog.get("customMetricsBudget")
    return Cost(
        agents=replicas,
        markets=count,
        rows=rows,
        total=0 if is_off else replicas * cardinality.per_agent(sending),
        budget=budget if isinstance(budget, int) else None,
    )


def _rows(sending: Sending, replicas: int) -> list[Row]:
    aggregates = (
        cardinality.AGGREGATES
        if sending.histograms
        else cardinality.AGGREGATES + cardinality.PERCENTILES
    )
    rows = []
    for metric in METRICS:
        each = metric.usual * (aggregates if metric.type is MetricType.DISTRIBUTION else 1)
        each *= sending.markets if cardinality.is_per_market(metric) else 1
        rows.append(_row(metric.name, metric.tag_names, each, replicas))
    for is_on, name, share in (
        (sending.runtime, "runtime.python.*", cardinality.RUNTIME),
        (sending.check, "purpleflea_agent (Agent check)", cardinality.CHECK),
        (sending.open_metrics, "purpleflea.* (/metrics)", cardinality.OPEN_METRICS),
    ):
        if is_on:
            rows.append(_row(name, (), share.of(sending.markets), replicas))
    return sorted(rows, key=lambda row: (-row.total, row.metric))


def _row(metric: str, tags: tuple[str, ...], each: int, replicas: int) -> Row:
    return Row(metric=metric, tags=tags, per_agent=each, total=each * replicas)

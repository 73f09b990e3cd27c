"""How many custom metrics agents are to be expected to cost: an estimate for budgets, not a bill.

Datadog counts a custom metric per combination of tag values; a distribution counts several times per combination. The
estimate is of ordinary operation: what each metric usually shows (metrics.Metric.usual), on one node per agent.
"""

from dataclasses import dataclass

from purpleflea_contract import tags
from purpleflea_contract.metrics import METRICS, Metric, MetricType

AGGREGATES = 5
"""A distribution counts for count, sum, min, max and avg; a histogram becomes five metrics of the node agent."""
PERCENTILES = 5
"""Switched on, as the monitors need it, a distribution counts for p50, p75, p90, p95 and p99 as well."""
EXPOSED_HISTOGRAM = 14
"""As read from /metrics, a distribution is 12 buckets, a count and a sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Custom metrics of one agent: some in any case, some for each of its markets."""

    fixed: int
    per_market: int

    def of(self, markets: int) -> int:
        """With this many markets."""
        return self.fixed + self.per_market * markets


def _share(spread: int) -> Share:
    """All metrics of the contract, a distribution counting as `spread`."""
    fixed = per_market = 0
    for metric in METRICS:
        series = metric.usual * (spread if metric.type is MetricType.DISTRIBUTION else 1)
        if is_per_market(metric):
            per_market += series
        else:
            fixed += series
    return Share(fixed=fixed, per_market=per_market)


def is_per_market(metric: Metric) -> bool:
    """Whether each market has series of its own."""
    return tags.MARKET in metric.tags


SENT = _share(AGGREGATES + PERCENTILES)
SENT_AS_HISTOGRAMS = _share(AGGREGATES)
OPEN_METRICS = _share(EXPOSED_HISTOGRAM)
CHECK = Share(fixed=15, per_market=3)
"""The Agent check: six values, up to three each of orders, escrows and losses, three for each market."""
RUNTIME = Share(fixed=15, per_market=0)
"""ddtrace's runtime metrics, runtime.python.*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What an agent sends, and is asked for."""

    markets: int
    histograms: bool = False
    runtime: bool = False
    check: bool = False
    open_metrics: bool = False


def per_agent(sending: Sending) -> int:
    """Custom metrics that one agent is to be expected to cost."""
    shares = [SENT_AS_HISTOGRAMS if sending.histograms else SENT]
    wanted = (
        (sending.runtime, RUNTIME),
        (sending.check, CHECK),
        (sending.open_metrics, OPEN_METRICS),
    )
    shares += [share for is_on, share in wanted if is_on]
    return sum(share.of(sending.markets) for share in shares)

"""Expected number of custom metrics of an agent: an estimate for budgets, not a bill.

Datadog counts a custom metric per combination of tag values; a distribution counts several times per combination. The
estimate is for ordinary operation: the usual series of each metric (metrics.Metric.usual), with one node per agent.
"""

from dataclasses import dataclass

from purpleflea_contract import tags
from purpleflea_contract.metrics import METRICS, Metric, MetricType

AGGREGATES = 5
"""A distribution counts for count, sum, min, max and avg; a histogram becomes five metrics of the node agent."""
PERCENTILES = 5
"""If percentiles are enabled, as the monitors require, a distribution also counts for p50, p75, p90, p95 and p99."""
EXPOSED_HISTOGRAM = 14
"""On /metrics a distribution is 12 buckets, a count and a sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Custom metrics of one agent: a fixed number, and a number for each of its markets."""

    fixed: int
    per_market: int

    def of(self, markets: int) -> int:
        """Return the number for this many markets."""
        return self.fixed + self.per_market * markets


def _share(per_distribution: int) -> Share:
    """Return the share of all metrics of the contract, if a distribution counts as `per_distribution`."""
    fixed = per_market = 0
    for metric in METRICS:
        series = metric.usual * (per_distribution if metric.type is MetricType.DISTRIBUTION else 1)
        if is_per_market(metric):
            per_market += series
        else:
            fixed += series
    return Share(fixed=fixed, per_market=per_market)


def is_per_market(metric: Metric) -> bool:
    """Return whether each market has its own series."""
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
    """The telemetry of an agent that counts as custom metrics."""

    markets: int
    histograms: bool = False
    runtime: bool = False
    check: bool = False
    open_metrics: bool = False


def per_agent(sending: Sending) -> int:
    """Return the expected number of custom metrics of one agent."""
    shares = [SENT_AS_HISTOGRAMS if sending.histograms else SENT]
    wanted = (
        (sending.runtime, RUNTIME),
        (sending.check, CHECK),
        (sending.open_metrics, OPEN_METRICS),
    )
    shares += [share for is_on, share in wanted if is_on]
    return sum(share.of(sending.markets) for share in shares)

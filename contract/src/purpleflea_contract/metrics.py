"""Every metric an agent sends: name, type, unit, tags, meaning.

The names are those of the published Purple Flea integration. The agent's telemetry package sends them.
"""

from dataclasses import dataclass
from enum import StrEnum

from purpleflea_contract import tags
from purpleflea_contract.tags import Tag


class MetricType(StrEnum):
    """DogStatsD types in use.

    Latencies and amounts are distributions, not histograms: a histogram is aggregated per host by the node agent and
    its bare name never exists, so that a p95 monitor on it can have no data (Datadog documentation, "Distributions").
    """

    GAUGE = "gauge"
    COUNT = "count"
    DISTRIBUTION = "distribution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. `unit` is a Datadog unit name; `tags` come on top of agent_id, strategy, env, service, version.

    `optional` are those of `tags` that some points do not have. `usual` is the number of combinations of its tags,
    without the market, of an agent in an hour of ordinary operation.
    """

    name: str
    type: MetricType
    unit: str
    tags: tuple[Tag, ...] = ()
    optional: tuple[Tag, ...] = ()
    description: str
    emitted: str
    usual: int = 1

    @property
    def exposed_name(self) -> str:
        """Name on the /metrics page of the agent; in OpenMetrics the name of a count ends in _total."""
        name = self.name.replace(".", "_")
        if self.type is MetricType.COUNT:
            return f"{name.removesuffix('_total')}_total"
        return name

    @property
    def tag_names(self) -> tuple[str, ...]:
        """Names of all tags of the metric; the tags of every metric are first."""
        return tuple(tag.name for tag in (*tags.EVERY_METRIC, *self.tags))


PNL = Metric(
    name="agent.trade.pnl_usd",
    type=MetricType.GAUGE,
    unit="dollar",
    tags=(tags.MARKET, tags.REALIZED),
    description="Current profit and loss of the market, separately for realized and unrealized. Realized is net of the"
    " fees in agent.trade.fees_usd. Unrealized is before the fee of the order that closes the position.",
    emitted="after each trading interval and each fill",
    usual=2,  # realized and unrealized
)
FEES = Metric(
    name="agent.trade.fees_usd",
    type=MetricType.GAUGE,
    unit="dollar",
    tags=(tags.MARKET,),
    description="Fees of all fills of the market since the journal of the agent began. The profit before fees is this"
    " plus agent.trade.pnl_usd with realized:true.",
    emitted="after each trading interval and each fill",
)
DRAWDOWN = Metric(
    name="agent.risk.max_drawdown_pct",
    type=MetricType.GAUGE,
    unit="percent",
    description="Fall of the equity from its peak, in percent of the peak (0 to 100), without escrows and faucet.",
    emitted="after each trading interval and each fill",
)
OPEN_POSITIONS = Metric(
    name="agent.positions.open_count",
    type=MetricType.GAUGE,
    unit="position",
    tags=(tags.MARKET,),
    description="Open positions of the market.",
    emitted="after each trading interval and each fill",
)
POSITION_MISMATCHES = Metric(
    name="agent.positions.mismatch_count",
    type=MetricType.GAUGE,
    unit="position",
    description="Markets whose reported position differs from the fills of the agent, beyond fills in flight. They do"
    " not grow.",
    emitted="after each trading interval and each fill",
)
ORDER_LATENCY = Metric(
    name="agent.order.latency_ms",
    type=MetricType.DISTRIBUTION,
    unit="millisecond",
    tags=(tags.MARKET, tags.ORDER_TYPE),
    description="Time from sending an order to its answer.",
    emitted="per answered order",
)
SIGNAL_COMPUTE = Metric(
    name="agent.signal.compute_seconds",
    type=MetricType.DISTRIBUTION,
    unit="second",
    tags=(tags.MODEL_VERSION,),
    description="Time to compute a trading signal.",
    emitted="per market and trading interval",
)
ORDER_EXECUTIONS = Metric(
    name="agent.order.executions_total",
    type=MetricType.COUNT,
    unit="order",
    tags=(tags.MARKET, tags.STATUS, tags.ERROR_TYPE),
    optional=(tags.ERROR_TYPE,),
    description="Orders attempted.",
    emitted="per order",
    usual=2,  # success and one class of error
)
WALLET_BALANCE = Metric(
    name="agent.wallet.balance_usd",
    type=MetricType.GAUGE,
    unit="dollar",
    tags=(tags.CURRENCY, tags.WALLET_TYPE),
    description="Wallet balance in US dollars.",
    emitted="after each trading interval and each fill",
)
API_REQUESTS = Metric(
    name="agent.api.requests_total",
    type=MetricType.COUNT,
    unit="request",
    tags=(tags.ENDPOINT, tags.METHOD, tags.STATUS_CODE, tags.SUCCESS),
    description="Calls to the Purple Flea API.",
    emitted="per call, with status code 0 if there was no answer",
    usual=8,  # six routes, two of them also with an error
)
ESCROW_TRANSACTIONS = Metric(
    name="agent.escrow.transactions_total",
    type=MetricType.COUNT,
    unit="transaction",
    tags=(tags.COUNTERPARTY, tags.STATUS),
    description="Escrow transactions by their new state: created, completed (released), cancelled, failed.",
    emitted="per change of state",
    usual=2,  # created and completed
)
ESCROW_AMOUNT = Metric(
    name="agent.escrow.amount_usd",
    type=MetricType.DISTRIBUTION,
    unit="dollar",
    tags=(tags.COUNTERPARTY, tags.STATUS),
    description="Amount of completed escrow transactions.",
    emitted="when an escrow is released (status completed)",
)
FAUCET_CLAIMS = Metric(
    name="agent.faucet.claims_total",
    type=MetricType.COUNT,
    unit="request",
    tags=(tags.STATUS,),
    description="Faucet claims attempted.",
    emitted="per claim",
    usual=2,  # claimed and refused
)
HEARTBEAT = Metric(
    name="agent.heartbeat",
    type=MetricType.COUNT,
    unit="event",
    description="Completed trading intervals, and signs of life while the agent waits for the next one. If it is"
    " missing, the agent has crashed, is stuck or cannot trade.",
    emitted="after each completed trading interval, also while halted, and then every 20 s until the next interval"
    " starts; not during an interval, and not if the last one failed",
)
HEARTBEAT_PERIOD_S = 20
"""Time between two heartbeats while an agent waits for its next trading interval, in seconds. The shortest window of a
monitor is one minute, so it contains at least two of them for each interval of up to an hour."""
INTERVAL_FAILURES = Metric(
    name="agent.interval.failures_total",
    type=MetricType.COUNT,
    unit="error",
    tags=(tags.ERROR_TYPE,),
    description="Failures in trading intervals, one per interval and class. If the failure concerns only some of the"
    " markets, the interval is completed for the others and still sends a heartbeat. An interval without any market is"
    " repeated after a minute at the latest.",
    emitted="after each trading interval with a failure",
)
RISK_REFUSALS = Metric(
    name="agent.risk.refusals_total",
    type=MetricType.COUNT,
    unit="order",
    tags=(tags.REASON,),
    description="Orders not sent because of a limit of spec.risk or the trading mode.",
    emitted="per refused order",
)
TELEMETRY_DROPPED = Metric(
    name="agent.telemetry.dropped_total",
    type=MetricType.COUNT,
    unit="packet",
    tags=(tags.SIGNAL,),
    description="Telemetry that the agent could not send: packets, traces or log lines.",
    emitted="zero at the start, then after each trading interval with drops",
    usual=3,  # one for each signal
)

METRICS = (
    PNL,
    FEES,
    DRAWDOWN,
    OPEN_POSITIONS,
    POSITION_MISMATCHES,
    ORDER_LATENCY,
    SIGNAL_COMPUTE,
    ORDER_EXECUTIONS,
    WALLET_BALANCE,
    API_REQUESTS,
    ESCROW_TRANSACTIONS,
    ESCROW_AMOUNT,
    FAUCET_CLAIMS,
    HEARTBEAT,
    INTERVAL_FAILURES,
    RISK_REFUSALS,
    TELEMETRY_DROPPED,
)

"""Code of the published integration page, for comparison: one packet per call, and tags are joined in each call."""

from datadog import initialize, statsd

BASE_TAGS = [
    "agent_id:momentum-agent-01",
    "strategy:momentum",
    "env:production",
    "service:purpleflea-trading-agent",
]


def start(port: int) -> None:
    """Configure the client for a server on loopback."""
    initialize(statsd_host="127.0.0.1", statsd_port=port)


def record_pnl(market: str, pnl_usd: float, realized: bool = False) -> None:
    """Record the metric as on the page."""
    tags = [*BASE_TAGS, f"market:{market}", f"realized:{str(realized).lower()}"]
    statsd.gauge("agent.trade.pnl_usd", pnl_usd, tags=tags)


def record_order_latency(market: str, order_type: str, latency_ms: float) -> None:
    """Record the metric as on the page."""
    tags = [*BASE_TAGS, f"market:{market}", f"order_type:{order_type}"]
    statsd.histogram("agent.order.latency_ms", latency_ms, tags=tags)


def record_faucet_claim(status: str) -> None:
    """Record the metric as on the page."""
    statsd.increment("agent.faucet.claims_total", tags=[*BASE_TAGS, f"status:{status}"])

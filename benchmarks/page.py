"""What the published integration page does per metric, to compare with: one packet per call, tags joined each time."""

from datadog import initialize, statsd

BASE_TAGS = [
    "agent_id:momentum-agent-01",
    "strategy:momentum",
    "env:production",
    "service:purpleflea-trading-agent",
]


def start(port: int) -> None:
    """Point the client at a server on loopback."""
    initialize(statsd_host="127.0.0.1", statsd_port=port)


def record_pnl(market: str, pnl_usd: float, realized: bool = False) -> None:
    """The page's function."""
    tags = [*BASE_TAGS, f"market:{market}", f"realized:{str(realized).lower()}"]
    statsd.gauge("agent.trade.pnl_usd", pnl_usd, tags=tags)


def record_order_latency(market: str, order_type: str, latency_ms: float) -> None:
    """The page's function."""
    tags = [*BASE_TAGS, f"market:{market}", f"order_type:{order_type}"]
    statsd.histogram("agent.order.latency_ms", latency_ms, tags=tags)


def record_faucet_claim(status: str) -> None:
    """The page's function."""
    statsd.increment("agent.faucet.claims_total", tags=[*BASE_TAGS, f"status:{status}"])

"""Every structured log event: its name, level, message and attributes, and the fields of each log line.

The attribute with the name of the event is `event_type` (the published facet). A business status is in
`<object>.status`, because Datadog reads a top-level `status` as the log level (reserved attributes).
"""

from dataclasses import dataclass
from typing import Literal

EVENT_TYPE = "event_type"
LINE_FIELDS = (
    "timestamp",
    "level",
    "logger",
    "message",
    "agent_id",
    "strategy",
    "dd.trace_id",
    "dd.span_id",
    "dd.service",
    "dd.env",
    "dd.version",
)
"""Fields of every log line. timestamp is ISO 8601 with milliseconds, UTC; dd.trace_id is 32 hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One log event; `attributes` are top-level keys of the JSON line."""

    name: str
    level: Literal["INFO", "WARNING", "ERROR"]
    message: str
    attributes: tuple[str, ...]


TRADE_EXECUTED = LogEvent(
    name="trade_executed",
    level="INFO",
    message="Trade executed",
    attributes=("market", "side", "size", "price", "latency_ms", "order_id"),
)
SIGNAL_GENERATED = LogEvent(
    name="signal_generated",
    level="INFO",
    message="Signal generated",
    attributes=("market", "signal_value", "strategy"),
)
ESCROW_TRANSACTION = LogEvent(
    name="escrow_transaction",
    level="INFO",
    message="Escrow event",
    attributes=("counterparty", "amount_usd", "escrow.status", "escrow_id"),
)
BALANCE_ALERT = LogEvent(
    name="balance_alert",
    level="WARNING",
    message="Balance below threshold",
    attributes=("currency", "balance_usd", "threshold_usd"),
)
ORDER_REFUSED = LogEvent(
    name="order_refused",
    level="WARNING",
    message="Order refused by a risk limit",
    attributes=("market", "side", "size", "reason"),
)
ORDER_FAILED = LogEvent(
    name="order_failed",
    level="ERROR",
    message="Order failed",
    attributes=("market", "side", "size", "order_id", "error.kind", "error.message"),
)
CONTROL_CHANGED = LogEvent(
    name="control_changed",
    level="WARNING",
    message="Trading mode changed",
    attributes=("mode", "reason"),
)
POSITION_MISMATCH = LogEvent(
    name="position_mismatch",
    level="WARNING",
    message="Reported position differs from the fills of the agent",
    attributes=("market", "reported_size", "own_size", "mismatch.status"),
)
FAUCET_CLAIMED = LogEvent(
    name="faucet_claimed",
    level="INFO",
    message="Faucet claimed",
    attributes=("claim_id", "amount_usd"),
)
FAUCET_CLAIM_FAILED = LogEvent(
    name="faucet_claim_failed",
    level="WARNING",
    message="Faucet claim failed",
    attributes=("faucet.status", "error.kind", "error.message"),
)
MARKET_SKIPPED = LogEvent(
    name="market_skipped",
    level="WARNING",
    message="Market skipped",
    attributes=("market", "error_type", "error.kind", "error.message"),
)
INTERVAL_FAILED = LogEvent(
    name="interval_failed",
    level="WARNING",
    message="Trading interval not completed",
    attributes=("error_type", "error.kind", "error.message"),
)
PEAK_RESET = LogEvent(
    name="peak_reset",
    level="WARNING",
    message="Peak of the equity reset on request",
    attributes=("reset_at", "former_peak_usd", "equity_usd"),
)

EVENTS = (
    TRADE_EXECUTED,
    SIGNAL_GENERATED,
    ESCROW_TRANSACTION,
    BALANCE_ALERT,
    ORDER_REFUSED,
    ORDER_FAILED,
    CONTROL_CHANGED,
    POSITION_MISMATCH,
    FAUCET_CLAIMED,
    FAUCET_CLAIM_FAILED,
    MARKET_SKIPPED,
    INTERVAL_FAILED,
    PEAK_RESET,
)

"""Every manual span of an agent. HTTP spans come from automatic instrumentation.

The tracing module of the agent creates the spans.
"""

import re
from dataclasses import dataclass

MEASURED_TAG = "_dd.measured"
"""Datadog computes trace metrics only from top-level and measured spans, so a child span needs this tag set to 1."""

EVERY_SPAN = ("agent_id", "strategy")
"""Tags of every span below, in addition to env, service and version."""
_PART = re.compile(r"\{\w+\}")
_VALUE = "[A-Za-z0-9]{1,16}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One kind of span. `resource` is a format string over its tags; measured spans yield trace.<name> metrics.

    A tag name with a part in braces is one tag for each value of that part."""

    name: str
    resource: str
    tags: tuple[str, ...]
    description: str
    measured: bool = True
    is_root: bool = False
    """True if it starts a new trace, even inside another span."""

    def takes(self, tag: str) -> bool:
        """Return whether the span may have a tag of this name."""
        if tag in self.tags or tag in EVERY_SPAN:
            return True
        return any(re.fullmatch(_PART.sub(_VALUE, name), tag) for name in self.tags if "{" in name)


INTERVAL = Span(
    name="agent.trading.interval",
    resource="{strategy}",
    tags=("strategy",),
    description="One interval of the trading loop over all markets; the root of signals, orders and fills.",
)
SIGNAL_COMPUTE = Span(
    name="agent.signal.compute",
    resource="{strategy}/{market}",
    tags=("market", "strategy", "price_count", "signal_value"),
    description="Computation of the trading signal of one market.",
)
ORDER_EXECUTE = Span(
    name="agent.order.execute",
    resource="{order_type}/{market}/{side}",
    tags=("market", "side", "size", "order_type", "latency_ms", "status_code", "order_id"),
    description="An order, from its write to the journal to its answer.",
)
ORDER_SETTLE = Span(
    name="agent.order.settle",
    resource="{order_type}/{market}/{side}",
    tags=("market", "side", "size", "order_type", "order_id"),
    description="Outcome of a resting order, or of an order without an answer, found by a later look-up.",
)
WALLET_BALANCE_FETCH = Span(
    name="agent.wallet.balance_fetch",
    resource="GET /v1/balance",
    tags=("balance_usd", "balance_{currency}_usd"),
    description="Reading the wallet balances.",
)
ESCROW_CREATE = Span(
    name="agent.escrow.create",
    resource="POST /v1/escrow",
    tags=("counterparty", "amount_usd", "escrow_id"),
    description="Opening an escrow.",
)
ESCROW_RELEASE = Span(
    name="agent.escrow.release",
    resource="POST /v1/escrow/{{id}}/release",
    tags=("escrow_id",),
    description="Releasing an escrow to the counterparty.",
)
ESCROW_CANCEL = Span(
    name="agent.escrow.cancel",
    resource="POST /v1/escrow/{{id}}/cancel",
    tags=("escrow_id",),
    description="Cancelling an escrow.",
)
FAUCET_CLAIM = Span(
    name="agent.faucet.claim",
    resource="POST /faucet/claim",
    tags=("amount_usd",),
    description="Claiming from the faucet.",
    is_root=True,
)

SPANS = (
    INTERVAL,
    SIGNAL_COMPUTE,
    ORDER_EXECUTE,
    ORDER_SETTLE,
    WALLET_BALANCE_FETCH,
    ESCROW_CREATE,
    ESCROW_RELEASE,
    ESCROW_CANCEL,
    FAUCET_CLAIM,
)

"""Errors of orders and escrows, grouped by the conclusion that the caller may draw."""


class OrderRefused(Exception):  # noqa: N818 - the name states the meaning
    """The agent does not send the order; nothing was written or sent.

    `reason` is a value of the contract's tag `reason`: the trading mode (`halted`, `stopped`), the limit
    (`max_order`, ...), or `market_data`. docs/trading.md lists the limits.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the order is refused: {reason}")
        self.reason = reason


class OrderRejected(Exception):  # noqa: N818 - the name states the meaning
    """The exchange accepted the request and rejected the order."""

    error_type = "rejected"


class OrderUnsettled(Exception):  # noqa: N818 - the name states the meaning
    """The order was sent and its outcome is unknown; the agent keeps looking it up."""

    error_type = "timeout"

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"the outcome of the order {idempotency_key} is not known yet")


class EscrowUnsettled(Exception):  # noqa: N818 - the name states the meaning
    """The escrow was sent and its outcome is unknown; the agent keeps looking it up."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"the outcome of the escrow {idempotency_key} is not known yet")


class KeyReused(Exception):  # noqa: N818 - the name states the meaning
    """The idempotency key belongs to another order or escrow."""

"""Why an order or an escrow did not come to its end, by what the caller may conclude from it."""


class OrderRefused(Exception):  # noqa: N818 - named by what it means
    """We refuse to send the order; nothing was written or sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the order is refused: {reason}")
        self.reason = reason


class OrderRejected(Exception):  # noqa: N818 - named by what it means
    """The exchange took the order and rejected it."""

    error_type = "rejected"


class OrderUnsettled(Exception):  # noqa: N818 - named by what it means
    """The order was sent, and nobody knows yet what came of it; it goes on being asked for."""

    error_type = "timeout"

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"the outcome of the order {idempotency_key} is not known yet")


class EscrowUnsettled(Exception):  # noqa: N818 - named by what it means
    """The escrow was sent, and nobody knows yet what came of it; it goes on being asked for."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(f"the outcome of the escrow {idempotency_key} is not known yet")


class KeyReused(Exception):  # noqa: N818 - named by what it means
    """The idempotency key belongs to another order or escrow."""

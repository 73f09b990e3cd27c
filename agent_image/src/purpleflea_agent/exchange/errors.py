"""What can go wrong at the exchange, by what the caller may conclude from it.

ExchangeError
|- NeverSent        no request left: it had no effect
|- Refused          the exchange answered no: it had no effect
`- OutcomeUnknown   sent, and no usable answer: it may have had its effect; ask, never repeat blindly
"""


class ExchangeError(Exception):
    """Base; `error_type` is the contract's class of the failure."""

    error_type = "other"


class NeverSent(ExchangeError):  # noqa: N818 - named by what it means
    """No connection was made."""

    error_type = "connection"


class Refused(ExchangeError):  # noqa: N818 - named by what it means
    """The exchange refused the request (4xx)."""

    def __init__(self, detail: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_s = retry_after_s
        self.error_type = "rate_limited" if status == 429 else "rejected"


class OutcomeUnknown(ExchangeError):  # noqa: N818 - named by what it means
    """The request left and no usable answer came: timeout, reset, 5xx, or nonsense."""

    def __init__(self, detail: str, *, error_type: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.error_type = error_type
        self.status = status

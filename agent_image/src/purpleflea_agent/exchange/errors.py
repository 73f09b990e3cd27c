"""What can go wrong at the exchange, by what the caller may conclude from it.

ExchangeError
|- NeverSent        no request left: it had no effect
|- Refused          the exchange answered no: it had no effect
`- OutcomeUnknown   sent, and no usable answer: it may have had its effect; ask, never repeat blindly
"""


class ExchangeError(Exception):
    """Base; `error_type` is the contract's class of the failure.

    Its text is for the log. `in_public` is what anybody may read: without the words of a service that failed, or did
    not know us, as such words may quote what no mask knows.
    """

    error_type = "other"

    def __init__(self, detail: str, *, in_public: str | None = None) -> None:
        super().__init__(detail)
        self.in_public = detail if in_public is None else in_public


class NeverSent(ExchangeError):  # noqa: N818 - named by what it means
    """No connection was made."""

    error_type = "connection"


class Refused(ExchangeError):  # noqa: N818 - named by what it means
    """The exchange refused the request (4xx)."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        retry_after_s: float | None = None,
        in_public: str | None = None,
    ) -> None:
        super().__init__(detail, in_public=in_public)
        self.status = status
        self.retry_after_s = retry_after_s
        self.error_type = "rate_limited" if status == 429 else "rejected"


class OutcomeUnknown(ExchangeError):  # noqa: N818 - named by what it means
    """The request left and no usable answer came: timeout, reset, 5xx, or nonsense."""

    def __init__(
        self,
        detail: str,
        *,
        error_type: str,
        status: int | None = None,
        in_public: str | None = None,
    ) -> None:
        super().__init__(detail, in_public=in_public)
        self.error_type = error_type
        self.status = status

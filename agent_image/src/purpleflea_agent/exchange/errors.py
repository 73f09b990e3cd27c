"""Errors of the exchange, grouped by the conclusion that the caller may draw.

ExchangeError
|- NeverSent        the request was not sent: it had no effect
|  `- NoApiKey      there is no key to send
|- Refused          the exchange itself refused the request: it had no effect
`- OutcomeUnknown   the request was sent, and the exchange itself sent no usable answer: it may have had an effect;
                    look it up, and do not send it again
"""


class ExchangeError(Exception):
    """Base class; `error_type` is the class of the failure in the contract.

    The text is for the log. `in_public` is for answers of the agent: it omits the text of a service that failed or that
    did not accept our key, because such a text may contain a secret that is not registered for redaction.
    """

    error_type = "other"
    status: int | None = None
    """HTTP status of the answer, if there was one."""

    def __init__(self, detail: str, *, in_public: str | None = None) -> None:
        super().__init__(detail)
        self.in_public = detail if in_public is None else in_public

    @property
    def was_before_any_effect(self) -> bool:
        """True if the same request may be sent again under its key; the exchange itself keeps no record of it."""
        return False

    @property
    def concerns_only_this_request(self) -> bool:
        """True if another request may succeed: a 4xx status other than 429 is about the request that was sent."""
        return self.status is not None and 400 <= self.status < 500 and self.status != 429


class NeverSent(ExchangeError):  # noqa: N818 - the name states the meaning
    """No connection was made."""

    error_type = "connection"

    @property
    def was_before_any_effect(self) -> bool:
        """True: nothing left the process."""
        return True


class NoApiKey(NeverSent):
    """The file of the API key is missing or empty."""


class Refused(ExchangeError):  # noqa: N818 - the name states the meaning
    """The exchange refused the request with a 4xx status and a problem document in its own form."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        retry_after_s: float | None = None,
        in_public: str | None = None,
    ) -> None:
        super().__init__(detail, in_public=in_public)
        self.status: int = status
        self.retry_after_s = retry_after_s
        self.error_type = "rate_limited" if status == 429 else "rejected"

    @property
    def was_before_any_effect(self) -> bool:
        """True if the key or the rate was refused, before the exchange looked at the request."""
        return self.status in (401, 429)


class OutcomeUnknown(ExchangeError):  # noqa: N818 - the name states the meaning
    """The request was sent, and its effect is unknown: timeout, reset, 5xx, or an answer from something else."""

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

"""All errors of the exchange; api/problems.py converts them to problem details.

ExchangeError
    UnauthorizedError 401   ForbiddenError 403   NotFoundError 404   ConflictError 409
    InvalidError 422        TooManyError 429
SettingsError           an invalid environment variable or file; ends the process with one line
"""

from typing import ClassVar


class ExchangeError(Exception):
    """A rejected request: `code` is for programs, `detail` is for people."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, code: str, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class UnauthorizedError(ExchangeError):
    status = 401
    title = "Unauthorized"


class ForbiddenError(ExchangeError):
    status = 403
    title = "Forbidden"


class NotFoundError(ExchangeError):
    status = 404
    title = "Not found"


class ConflictError(ExchangeError):
    status = 409
    title = "Conflict"


class InvalidError(ExchangeError):
    status = 422
    title = "Invalid request"


class TooManyError(ExchangeError):
    status = 429
    title = "Too many requests"


class SettingsError(Exception):
    """An invalid setting that prevents the start; the message names the setting and the remedy."""

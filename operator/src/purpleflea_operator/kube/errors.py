"""What can go wrong with a request to the Kubernetes API, by what to do about it.

ApiError
├── Transient            try again with backoff
│   ├── Throttled        429: not before retry_after_s
│   ├── Conflict         409: the world moved on; read it again
│   └── Unavailable      5xx, no connection, no answer in time; not before retry_after_s where the server says one
├── NotFound             404
├── Fenced               not sent: another replica may lead by now
├── Forbidden            401, 403: a right is missing; a person must act
└── Invalid              400, 422 and the rest of 4xx: the request itself is wrong; a person must act
"""

from purpleflea_operator import timings


class ApiError(Exception):
    """A request to the Kubernetes API failed; the text is the server's message."""

    retry_after_s = 0.0
    """For how long the server wants to be left alone."""


class Transient(ApiError):  # noqa: N818 - named by what it means
    """The request may succeed later."""


class Throttled(Transient):
    """The server asks to slow down."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Conflict(Transient):
    """The object is not what the request took it for."""


class Unavailable(Transient):
    """The server did not answer, or answered with its own failure."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFound(ApiError):  # noqa: N818
    """The object, or its kind, does not exist."""


class Fenced(ApiError):  # noqa: N818
    """The request was not sent: this replica may not write any more."""


class Forbidden(ApiError):  # noqa: N818
    """The operator has no right to do this."""


class Invalid(ApiError):  # noqa: N818
    """The server refuses the object as it is."""


def from_response(status: int, message: str, retry_after: str | None) -> ApiError:
    """The error for an answer of status >= 400."""
    seconds = _seconds(retry_after)
    match status:
        case 404:
            return NotFound(message)
        case 401 | 403:
            return Forbidden(message)
        case 409:
            return Conflict(message)
        case 429:
            return Throttled(message, 1.0 if seconds is None else seconds)
        case _ if status >= 500:
            return Unavailable(message, seconds or 0.0)
        case _:
            return Invalid(message)


def _seconds(retry_after: str | None) -> float | None:
    if not retry_after or not retry_after.isdecimal():
        return None
    return min(float(retry_after), timings.LONGEST_RETRY_AFTER_S)

"""Errors of requests to the Kubernetes API, classified by the reaction of the caller.

ApiError
├── Transient            retry with backoff
│   ├── Throttled        429: retry not before retry_after_s
│   ├── Conflict         409: the object changed; read it again
│   │   └── AlreadyExists    409: an object with this name exists
│   └── Unavailable      5xx or timeout; if the server sends Retry-After, not before retry_after_s
│       └── Unreachable  no connection
├── NotFound             404
├── Fenced               not sent, because another replica may lead
├── Forbidden            401, 403: a permission is missing; an administrator must grant it
└── Invalid              400, 422 and the rest of 4xx: the request is wrong; a user must correct the object
"""

from purpleflea_operator import timings


class ApiError(Exception):
    """A request to the Kubernetes API failed. The text is the message of the server."""

    retry_after_s = 0.0
    """Time for which the server requested no retry, from Retry-After."""

    path = ""
    """Path of the request, if it is known."""


class Transient(ApiError):  # noqa: N818 - named after its meaning
    """The request may succeed later."""


class Throttled(Transient):
    """The server throttles this client."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Conflict(Transient):
    """The object changed since it was read, or it exists already."""


class AlreadyExists(Conflict):
    """An object with the name of the object to create exists."""


class Unavailable(Transient):
    """The server did not respond, or failed."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(Unavailable):
    """There was no response, because the connection failed."""


class NotFound(ApiError):  # noqa: N818
    """The object or its kind does not exist."""


class Fenced(ApiError):  # noqa: N818
    """The request was not sent, because this replica may no longer write."""


class Forbidden(ApiError):  # noqa: N818
    """The operator has no permission for the request."""


class Invalid(ApiError):  # noqa: N818
    """The server rejects the object."""


def without_hold(failure: Exception) -> Exception:
    """Return an error for a caller that did not wait. It has no Retry-After, because that time has partly passed."""
    return Unavailable(str(failure)) if isinstance(failure, Throttled) else failure


def from_response(
    status: int, message: str, retry_after: str | None, *, reason: str = ""
) -> ApiError:
    """Return the error for a response with a status >= 400; `reason` is that of the Status object."""
    seconds = _seconds(retry_after)
    match status:
        case 404:
            return NotFound(message)
        case 401 | 403:
            return Forbidden(message)
        case 409:
            return AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
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

"""Errors of requests to Datadog's API, one class per reaction of the caller.

DatadogError
├── DatadogThrottled     429: retry after reset_s
├── Unreachable   no answer, or 5xx: a write may have taken effect
├── DatadogForbidden     401, 403: the keys are wrong or lack a scope
├── DatadogNotFound      404
├── Duplicate     400 with the id of an identical monitor
└── Refused       all other 4xx: the request itself is wrong
    └── Conflict  409: an object with this name exists, or other objects refer to the object
"""

import re
from collections.abc import Mapping

from purpleflea_operator import timings

_DUPLICATE = re.compile(r"Duplicate of an existing monitor_id:\s*(\d+)")


class DatadogError(Exception):
    """A request to Datadog failed. The text is Datadog's message, limited in length and without keys."""


class DatadogThrottled(DatadogError):  # noqa: N818 - named after its meaning
    """The rate limit of the endpoint is exceeded. `reset_s` is the time until it resets."""

    def __init__(self, message: str, reset_s: float) -> None:
        super().__init__(message)
        self.reset_s = reset_s


class Unreachable(DatadogError):  # noqa: N818
    """Datadog did not answer, or answered with a server error."""


class DatadogForbidden(DatadogError):  # noqa: N818
    """The keys are wrong, or lack a scope."""


class DatadogNotFound(DatadogError):  # noqa: N818
    """The object does not exist."""


class Duplicate(DatadogError):  # noqa: N818
    """An identical monitor exists. `identifier` is its id."""

    def __init__(self, message: str, identifier: str) -> None:
        super().__init__(message)
        self.identifier = identifier


class Refused(DatadogError):  # noqa: N818
    """Datadog rejected the request, and would reject it again."""


class Conflict(Refused):
    """An object with this name exists, or other objects refer to the object."""


def from_response(status: int, message: str, headers: Mapping[str, str]) -> DatadogError:
    """Return the error for a response that is not a success."""
    text = f"{status}: {message}"
    duplicate = _DUPLICATE.search(message)
    match status:
        case 429:
            return DatadogThrottled(text, _reset_s(headers.get("X-RateLimit-Reset", "")))
        case 401 | 403:
            return DatadogForbidden(text)
        case 404:
            return DatadogNotFound(text)
        case 400 | 409 if duplicate is not None:
            return Duplicate(text, duplicate[1])
        case 409:
            return Conflict(text)
        case 408:
            return Unreachable(text)
        case _ if status >= 500:
            return Unreachable(text)
        case _:
            return Refused(text)


def _reset_s(header: str) -> float:
    try:
        seconds = float(header)
    except ValueError:
        return timings.RATE_LIMIT_DEFAULT_RESET_S
    # The comparison is also false for a NaN.
    return (
        min(seconds, timings.RATE_LIMIT_LONGEST_RESET_S)
        if seconds >= 0
        else timings.RATE_LIMIT_DEFAULT_RESET_S
    )

"""Meaning of an error that kubectl reports. Pure.

A write whose error does not prove that the API server refused it may have been performed, or may be performed later.
"""

import re
from enum import StrEnum


class Failure(StrEnum):
    """Cause of a failed request."""

    NOT_FOUND = "NotFound"
    ALREADY_EXISTS = "AlreadyExists"
    CONFLICT = "Conflict"
    FORBIDDEN = "Forbidden"
    UNAUTHORIZED = "Unauthorized"
    INVALID = "Invalid"
    NOT_INSTALLED = "NotInstalled"
    CONFIGURATION = "Configuration"
    """kubectl sent no request, because the kubeconfig or the flags are wrong."""
    NO_ANSWER = "NoAnswer"
    """The request may have been performed."""


_PATTERNS = (
    (Failure.NOT_INSTALLED, r"the server doesn't have a resource type|no matches for kind"),
    (Failure.NOT_INSTALLED, r"could not find the requested resource"),
    (Failure.ALREADY_EXISTS, r"^Error from server \(AlreadyExists\)"),
    (Failure.NOT_FOUND, r"^Error from server \(NotFound\)"),
    (Failure.CONFLICT, r"^Error from server \(Conflict\)"),
    (Failure.FORBIDDEN, r"^Error from server \(Forbidden\)"),
    (Failure.UNAUTHORIZED, r"^error: You must be logged in|^Error from server \(Unauthorized\)"),
    (
        Failure.INVALID,
        r"^The .* is invalid:|^Error from server \((Invalid|BadRequest|MethodNotAllowed)\)",
    ),
    (
        Failure.CONFIGURATION,
        r"^error: (context|cluster|stat|error loading config|no context|unknown flag)",
    ),
    (Failure.CONFIGURATION, r"^[Ee]rror: unknown flag|couldn't get current|invalid configuration"),
)


def failure(message: str) -> Failure:
    """Return the cause of an error from the text that kubectl writes to stderr.

    Warnings of the API server may precede the error, so every line is read. A text that is not known counts as a
    missing answer.
    """
    for kind, pattern in _PATTERNS:
        if re.search(pattern, message, re.MULTILINE):
            return kind
    return Failure.NO_ANSWER


def last_line(message: str) -> str:
    """Return the error itself, without warnings before it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if not re.match(r"Warning:|[IWE]\d{4} ", line)]
    return (errors or lines or ["kubectl reported no error"])[-1]

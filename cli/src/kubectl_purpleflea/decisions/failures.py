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
    NO_KUBECTL = "NoKubectl"
    """kubectl cannot be started."""
    UNREACHABLE = "Unreachable"
    """kubectl sent no request, because no API server accepts a connection, or does not report its kinds."""
    NO_ANSWER = "NoAnswer"
    """The request may have been performed."""
    HUNG = "Hung"
    """kubectl did not end, or printed without an end. The request may have been performed."""


class KubectlError(Exception):
    """A request failed. `kind` is the cause, and the text is the error of kubectl."""

    def __init__(self, kind: Failure, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def is_ambiguous(self) -> bool:
        """Whether a write may have been performed although it failed."""
        return self.kind in (Failure.NO_ANSWER, Failure.HUNG)

    @property
    def ends_command(self) -> bool:
        """Whether each further read would fail as late, so a command that only reads ends."""
        return self.kind in (Failure.HUNG, Failure.NO_KUBECTL)


REMEDIES = {
    Failure.NOT_INSTALLED: "; install the chart of the operator, which has the CRDs",
    Failure.FORBIDDEN: "; see the rights that are missing: kubectl purpleflea doctor",
    Failure.CONFIGURATION: "; see the contexts: kubectl config get-contexts",
    Failure.UNAUTHORIZED: "; sign in again, and check your credentials: kubectl auth whoami",
    Failure.UNREACHABLE: "; check the address and the network: kubectl cluster-info",
    Failure.NO_ANSWER: "; check the API server: kubectl get --raw=/readyz",
    Failure.HUNG: "; a credential plugin, a proxy or the network may hang: kubectl get --raw=/readyz -v=6",
}
"""Texts after an error that ends a command."""
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
    (Failure.CONFIGURATION, r"^Error in configuration:|^error: (flag|invalid|unknown)"),
    (Failure.CONFIGURATION, r"^[Ee]rror: unknown flag|couldn't get current|invalid configuration"),
    # kubectl maps a manifest to a kind before it sends it.
    (Failure.UNREACHABLE, r"^error: unable to recognize|failed to download openapi"),
    (Failure.UNREACHABLE, r"^The connection to the server .* was refused|: connection refused$"),
    (Failure.UNREACHABLE, r"dial tcp: lookup .*: no such host|: network is unreachable$"),
)


def explained(error: KubectlError) -> str:
    """Return an error with its remedy."""
    return f"{str(error).removeprefix('error: ')}{REMEDIES.get(error.kind, '')}"


def failure(message: str) -> Failure:
    """Return the cause of an error from the text that kubectl writes to stderr.

    Warnings of the API server may precede the error, so every line is read. A text that is not known counts as a
    missing answer.
    """
    for kind, pattern in _PATTERNS:
        if re.search(pattern, message, re.MULTILINE):
            return kind
    return Failure.NO_ANSWER


def error_line(message: str) -> str:
    """Return the error itself in one line, without warnings before it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if not _IGNORED.match(line)]
    starts = [number for number, line in enumerate(errors) if _START.match(line)]
    # The fields of an invalid object, or the object that an error is about, follow in other lines.
    found = " ".join(errors[starts[-1] :]) if starts else (errors or lines or [_NO_ERROR])[-1]
    return found.partition("; if you choose to ignore these errors")[0]


_IGNORED = re.compile(r"Warning:|[IWE]\d{4} |ensure CRDs are installed first")
_START = re.compile(r"[Ee]rror\b|The .* is invalid:|The connection to the server|Unable to connect")
_NO_ERROR = "kubectl reported no error"

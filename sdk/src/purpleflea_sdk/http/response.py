"""Responses of the paths that the operator needs, for either server. No I/O."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Status, type of the content, and body of a response."""

    status: int
    content_type: str = JSON
    body: bytes

    @classmethod
    def of_json(cls, content: object, *, status: int = 200) -> "Response":
        """Return a response with a JSON document."""
        return cls(status=status, body=_dumped(content))


Answer = Callable[[str, str], Awaitable[Response | None]]
"""Path and Accept header -> response; None if the path does not exist."""


def problem(status: int, code: str, detail: str) -> Response:
    """Return an error as problem details (RFC 9457)."""
    content = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
    }
    return Response(status=status, content_type=PROBLEM_JSON, body=_dumped(content))


def _dumped(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()

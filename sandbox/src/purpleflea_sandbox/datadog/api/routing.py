"""Definition of a route: method, path, permission, limit, and a function from a call to an answer.

The functions are synchronous, so that a call is atomic with respect to concurrent calls.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.keys import UNSCOPED, ApplicationKey

if TYPE_CHECKING:
    from purpleflea_sandbox.datadog.api.organisation import Organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call. `parts` are the variable parts of the path; `body` is the parsed JSON, or None if there was none."""

    organisation: "Organisation"
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    raw: bytes = b""
    key: ApplicationKey = UNSCOPED

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("true", "1")

    def number(self, name: str, default: int) -> int:
        """Return a number from the query. Raises ApiError if the value is not a number."""
        text = self.query.get(name, "")
        if text and not text.isdigit():
            raise refused(400, f"Invalid value for parameter '{name}': {text}")
        return int(text) if text else default

    def listed(self, name: str) -> list[str]:
        """Return the items of a comma-separated query parameter."""
        return [item.strip() for item in self.query.get(name, "").split(",") if item.strip()]

    def document(self) -> dict[str, Any]:
        """Return the body as an object. Raises ApiError if it is not an object."""
        if not isinstance(self.body, dict):
            raise refused(400, "Invalid JSON: the body has to be an object")
        return self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and JSON body; if `body` is None, the response has no body."""

    body: Any = None
    status: int = 200


Handle = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint. `scope` is the required permission of the application key; if it is None, the API key is
    sufficient.
    """

    method: str
    path: str
    handle: Handle
    scope: str | None
    limit: str = ""

    @property
    def limit_name(self) -> str:
        return self.limit or ("read" if self.method == "GET" else "write")

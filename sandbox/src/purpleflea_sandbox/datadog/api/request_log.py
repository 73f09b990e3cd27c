"""Log of the newest API requests, for tests that count requests and for debugging. It contains no keys."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

_MAX_ENTRIES = 10_000


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """A request. `status` is 0 if the client got no response."""

    method: str
    path: str
    query: str = ""
    body: Any = None
    status: int = 0

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


@dataclass(slots=True)
class RequestLog:
    """Requests, oldest first."""

    entries: deque[LoggedRequest] = field(default_factory=lambda: deque(maxlen=_MAX_ENTRIES))

    def writes(self) -> list[LoggedRequest]:
        """Return the requests that use a writing method."""
        return [entry for entry in self.entries if entry.writes]

    def reads(self) -> list[LoggedRequest]:
        return [entry for entry in self.entries if not entry.writes]

    def clear(self) -> None:
        self.entries.clear()

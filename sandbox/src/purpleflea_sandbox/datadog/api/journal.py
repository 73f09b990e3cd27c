"""The newest calls of the API, for tests that count them and people who wonder. No keys in it."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

_MOST = 10_000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One call. `status` is 0 where the caller got no answer."""

    method: str
    path: str
    query: str = ""
    body: Any = None
    status: int = 0

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


@dataclass(slots=True)
class Journal:
    """The calls in their order."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=_MOST))

    def writes(self) -> list[Entry]:
        """Calls that meant to change something."""
        return [entry for entry in self.entries if entry.writes]

    def reads(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.writes]

    def clear(self) -> None:
        self.entries.clear()

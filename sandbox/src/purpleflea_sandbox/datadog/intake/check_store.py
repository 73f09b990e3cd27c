"""Service checks in memory: the current status of each check (name, host, tags) and its last changes.

As in Datadog, a check that is OK for a day is one entry and not 5,760.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging

CheckKey = tuple[str, str, tuple[str, ...]]

_MAX_CHANGES = 50


@dataclass(slots=True, kw_only=True)
class ServiceCheckState:
    """A service check. `changes` are (timestamp, status), newest last."""

    check: str
    host: str
    tags: tuple[str, ...]
    status: int = 3
    message: str = ""
    timestamp: int = 0
    count: int = 0
    changes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MAX_CHANGES))


class CheckStore:
    """All service checks. If the store is full, the least recently reported check is removed."""

    def __init__(self, *, max_checks: int = 20_000) -> None:
        self._max_checks = max_checks
        self._checks: OrderedDict[CheckKey, ServiceCheckState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._checks)

    def add(self, reported: Mapping[str, Any]) -> None:
        """Add a report. Raises KeyError, ValueError or TypeError if it is malformed."""
        name, status = str(reported["check"]), int(reported["status"])
        if not name or status not in range(4):
            raise ValueError(f"invalid service check {name!r} with status {status}")
        host = str(reported.get("host_name", ""))
        key = (name, host, tagging.normalised_all(reported.get("tags") or ()))
        timestamp, message = int(reported.get("timestamp") or 0), str(reported.get("message") or "")
        check = self._checks.get(key)
        if check is None:
            while len(self._checks) >= self._max_checks:
                self._checks.popitem(last=False)
            check = self._checks[key] = ServiceCheckState(check=name, host=host, tags=key[2])
        if not check.changes or check.status != status:
            check.changes.append((timestamp, status))
        check.status, check.message, check.timestamp = status, message, timestamp
        check.count += 1
        self._checks.move_to_end(key)

    def find(self, name: str = "", tags: Iterable[str] = ()) -> Sequence[ServiceCheckState]:
        """Return the checks with that name and all those tags, most recently reported first. Without a name or tags,
        return all.
        """
        wanted = set(tagging.normalised_all(tags))
        return [
            check
            for check in reversed(self._checks.values())
            if (not name or check.check == name) and wanted <= {*check.tags, f"host:{check.host}"}
        ]

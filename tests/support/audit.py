"""Reads the audit log of a real API server: user, request and time of every entry."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

POD_NAME = "authentication.kubernetes.io/pod-name"
DECISION = "authorization.k8s.io/decision"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request."""

    at: datetime
    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    pod: str = ""
    """The pod whose ServiceAccount token was used."""
    group: str = ""
    is_denied: bool = False
    """Whether the request was denied by authorization; other rejections do not count."""

    @property
    def is_write(self) -> bool:
        """Return whether the request may have changed an object."""
        return self.verb in WRITES


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """The audit log file; it may still grow."""

    file: Path

    def end(self) -> int:
        """Return the current end of the log, for use as `since`."""
        return self.file.stat().st_size

    def entries(self, *, since: int = 0, user: str = "") -> Iterator[Entry]:
        """Yield the requests after a point of the log by the users whose name ends with `user`.

        A name such as `purpleflea-operator-test` is another user than `purpleflea-operator`.
        A watch is counted when it starts.
        """
        with self.file.open("rb") as stream:
            stream.seek(since)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                entry = _entry(json.loads(line))
                if entry is not None and entry.user.endswith(user):
                    yield entry

    def counts(self, *, since: int = 0, user: str = "") -> Counter[tuple[str, str]]:
        """Return the number of requests by verb and resource."""
        return Counter(
            (entry.verb, entry.resource) for entry in self.entries(since=since, user=user)
        )

    def seconds_since(self, point: int) -> float:
        """Return the seconds between the first and the last request after a point."""
        times = [entry.at for entry in self.entries(since=point)]
        return (times[-1] - times[0]).total_seconds() if times else 0.0


def _entry(line: dict[str, Any]) -> Entry | None:
    verb, stage = line["verb"], line["stage"]
    if stage != ("ResponseStarted" if verb == "watch" else "ResponseComplete"):
        return None
    target = line.get("objectRef", {})
    resource = "/".join(
        part for part in (target.get("resource"), target.get("subresource")) if part
    )
    return Entry(
        at=datetime.fromisoformat(line["stageTimestamp"]),
        user=line["user"]["username"],
        verb=verb,
        resource=resource,
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=line.get("responseStatus", {}).get("code", 0),
        pod=next(iter(line["user"].get("extra", {}).get(POD_NAME, ())), ""),
        group=target.get("apiGroup", ""),
        is_denied=line.get("annotations", {}).get(DECISION) == "forbid",
    )

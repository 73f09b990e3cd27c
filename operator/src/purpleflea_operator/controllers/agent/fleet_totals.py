"""How many agents stand how: counted as their resources come by, at O(1) each, so that nobody need read them all."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_operator.parsing import Manifest

OBSERVED = "TelemetryReady"


@dataclass(frozen=True, slots=True)
class _Entry:
    conditions: frozenset[tuple[str, str]]
    replicas: int
    ready: int


class FleetTotals:
    """Totals over all agents."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self.conditions: Counter[tuple[str, str]] = Counter()
        """Agents by (type, status) of their conditions."""
        self.replicas = self.ready = self.observed = 0
        """Pods that exist, that are ready, and that belong to agents whose telemetry is proven."""

    def __len__(self) -> int:
        """Agents known."""
        return len(self._entries)

    def note(self, manifest: Manifest) -> None:
        """Count an agent as its resource shows it, in place of what was counted of it before."""
        uid = manifest["metadata"]["uid"]
        self.drop(uid)
        status = manifest.get("status") or {}
        entry = _Entry(
            frozenset((item["type"], item["status"]) for item in status.get("conditions", ())),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
        )
        self._entries[uid] = entry
        self._count(entry, 1)

    def drop(self, uid: str) -> None:
        """Forget an agent."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._count(entry, -1)

    def keep_only(self, uids: Iterable[str]) -> None:
        """Forget all agents but these."""
        for uid in self._entries.keys() - set(uids):
            self.drop(uid)

    def _count(self, entry: _Entry, sign: int) -> None:
        for condition in entry.conditions:
            self.conditions[condition] += sign
        self.replicas += sign * entry.replicas
        self.ready += sign * entry.ready
        if (OBSERVED, "True") in entry.conditions:
            self.observed += sign * entry.replicas

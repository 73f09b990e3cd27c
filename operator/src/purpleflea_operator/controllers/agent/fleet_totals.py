"""Totals over all agents, updated at O(1) with each agent resource, so that no metric has to read all of them."""

from collections import Counter
from dataclasses import dataclass

from purpleflea_operator.parsing import Manifest

OBSERVED = "TelemetryReady"


@dataclass(frozen=True, slots=True)
class _Entry:
    conditions: frozenset[tuple[str, str]]
    replicas: int
    ready: int


class FleetTotals:
    """Counters for the agents and their pods."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self.conditions: Counter[tuple[str, str]] = Counter()
        """Agents by (type, status) of their conditions."""
        self.replicas = self.ready = self.observed = 0
        """Pods that exist, pods that are ready, and pods of agents with TelemetryReady=True."""

    def __len__(self) -> int:
        """Return the number of agents."""
        return len(self._entries)

    def upsert(self, manifest: Manifest) -> None:
        """Add an agent resource, or replace the values of its previous version."""
        uid = manifest["metadata"]["uid"]
        self.delete(uid)
        status = manifest.get("status") or {}
        entry = _Entry(
            frozenset((item["type"], item["status"]) for item in status.get("conditions", ())),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
        )
        self._entries[uid] = entry
        self._count(entry, 1)

    def delete(self, uid: str) -> None:
        """Remove an agent."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._count(entry, -1)

    def _count(self, entry: _Entry, sign: int) -> None:
        for condition in entry.conditions:
            self.conditions[condition] += sign
        self.replicas += sign * entry.replicas
        self.ready += sign * entry.ready
        if (OBSERVED, "True") in entry.conditions:
            self.observed += sign * entry.replicas

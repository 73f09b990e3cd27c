"""Totals over all agents, updated at O(1) with each agent resource, so that no metric has to read all of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from purpleflea_contract.control import Mode
from purpleflea_operator.api.datadog import stored_service
from purpleflea_operator.parsing import Manifest, count, mapping, mappings, text, timestamp

OBSERVED = "TelemetryReady"
Fleet = tuple[str, str]
"""Env and service as Datadog stores them."""


@dataclass(frozen=True, slots=True)
class _Entry:
    conditions: frozenset[tuple[str, str]]
    replicas: int
    ready: int
    fleet: Fleet
    halted_since: float | None
    """Time in seconds since the epoch at which the agent was halted; None if it is not halted."""


class FleetTotals:
    """Counters for the agents and their pods."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self.conditions: Counter[tuple[str, str]] = Counter()
        """Agents by (type, status) of their conditions."""
        self.replicas = self.ready = self.observed = 0
        """Pods that exist, pods that are ready, and pods of agents with TelemetryReady=True."""
        self._fleets: Counter[Fleet] = Counter()
        self._halted: defaultdict[Fleet, dict[str, float]] = defaultdict(dict)

    def __len__(self) -> int:
        """Return the number of agents."""
        return len(self._entries)

    @property
    def pods(self) -> tuple[int, int, int]:
        """Numbers of pods: existing, ready, and observed."""
        return self.replicas, self.ready, self.observed

    def upsert(self, manifest: Manifest) -> None:
        """Add an agent resource, or replace the values of its previous version."""
        uid = manifest["metadata"]["uid"]
        self.delete(uid)
        status = mapping(manifest.get("status"))
        entry = _Entry(
            frozenset(
                (text(item.get("type")), text(item.get("status")))
                for item in mappings(status.get("conditions"))
            ),
            count(status.get("replicas")),
            count(status.get("readyReplicas")),
            stored_service(mapping(mapping(manifest.get("spec")).get("datadog"))),
            _halted_since(mapping(status.get("trading"))),
        )
        self._entries[uid] = entry
        self._count(entry, 1)
        if entry.halted_since is not None:
            self._halted[entry.fleet][uid] = entry.halted_since

    def delete(self, uid: str) -> None:
        """Remove an agent."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._count(entry, -1)
            self._halted[entry.fleet].pop(uid, None)
            if not self._halted[entry.fleet]:
                del self._halted[entry.fleet]

    def fleets(self, others: Iterable[Fleet], now: datetime) -> dict[Fleet, tuple[int, float]]:
        """Return the number of agents, and the longest time in seconds for which one of them has been halted.

        The `others` are fleets that may have no agents. They come first, because they are the observed ones.
        """
        oldest = {fleet: min(times.values()) for fleet, times in self._halted.items()}
        return {
            fleet: (
                self._fleets[fleet],
                max(0.0, now.timestamp() - oldest[fleet]) if fleet in oldest else 0.0,
            )
            for fleet in dict.fromkeys((*others, *sorted(self._fleets)))
        }

    def _count(self, entry: _Entry, sign: int) -> None:
        for condition in entry.conditions:
            self.conditions[condition] += sign
        self._fleets[entry.fleet] += sign
        if not self._fleets[entry.fleet]:
            del self._fleets[entry.fleet]
        self.replicas += sign * entry.replicas
        self.ready += sign * entry.ready
        if (OBSERVED, "True") in entry.conditions:
            self.observed += sign * entry.replicas


def _halted_since(trading: Manifest) -> float | None:
    """Return since when the agent is halted. An agent that its own spec stops is off, and not halted."""
    if text(trading.get("mode")) != Mode.HALTED and not trading.get("halts"):
        return None
    since = timestamp(trading.get("since"))
    return None if since is None else since.timestamp()

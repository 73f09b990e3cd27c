"""Past states of the venue, for stale reads: snapshots of storage, clock and prices.

A read without an age uses the state at the installation of the faults. A read with an age uses the
newest snapshot that is at least that old, so it becomes older by at most one eighth of the age.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_sandbox.exchange.venue.context import VenueContext

SNAPSHOTS_PER_AGE = 8
LEAST_STEP_MS = 1_000


@dataclass(frozen=True, slots=True)
class _Snapshot:
    taken_ms: int
    venue: VenueContext


class PastStates:
    """Snapshots for the ages that are in use; 0 is the state at the installation."""

    def __init__(self, venue: VenueContext, ages_ms: Iterable[int]) -> None:
        self._venue = venue
        self._ages = frozenset(ages_ms)
        self._snapshots: list[_Snapshot] = []
        self._first: _Snapshot | None = None
        if self._ages:
            self._first = self._taken()
            self._snapshots.append(self._first)

    def record(self) -> None:
        """Take a snapshot if one is due, and drop those that no age needs."""
        ages = [age for age in self._ages if age]
        if not ages or not self._snapshots:
            return
        step_ms = max(min(ages) // SNAPSHOTS_PER_AGE, LEAST_STEP_MS)
        now_ms = self._venue.clock()
        if now_ms - self._snapshots[-1].taken_ms < step_ms:
            return
        self._snapshots.append(self._taken())
        oldest_ms = now_ms - max(ages)
        while len(self._snapshots) > 1 and self._snapshots[1].taken_ms <= oldest_ms:
            self._close(self._snapshots.pop(0))

    def at_age(self, age_ms: int) -> VenueContext:
        """Return the newest state of at least this age, or the oldest that exists."""
        if self._first is None:
            return self._venue
        if not age_ms:
            return self._first.venue
        self.record()
        before_ms = self._venue.clock() - age_ms
        past = [item for item in self._snapshots if item.taken_ms <= before_ms]
        return (past or self._snapshots)[-1 if past else 0].venue

    def close(self) -> None:
        snapshots, self._snapshots = self._snapshots, []
        first, self._first = self._first, None
        for snapshot in {id(item): item for item in (first, *snapshots) if item}.values():
            snapshot.venue.database.close()

    def _taken(self) -> _Snapshot:
        return _Snapshot(self._venue.clock(), self._venue.snapshot())

    def _close(self, snapshot: _Snapshot) -> None:
        if snapshot is not self._first:
            snapshot.venue.database.close()

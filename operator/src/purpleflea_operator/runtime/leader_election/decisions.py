"""Who works: what a replica does about the lease, from what it has seen and the time. Pure.

Clocks of other machines are not believed: a lease is over when its record has not changed for its duration by our own
clock. Between the moment a leader must stop at and the moment another may start lie `lease - deadline` seconds.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from purpleflea_operator.kube.lease import LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseConfig:
    """Whom the lease is for, and its times in seconds."""

    identity: str
    lease_s: int = 15

    @property
    def deadline_s(self) -> float:
        """A leader that could not renew for this long stops."""
        return self.lease_s * 2 / 3

    @property
    def renew_s(self) -> float:
        """How often a leader renews."""
        return self.lease_s / 3

    @property
    def retry_s(self) -> float:
        """How often, at the least, a standby looks, and a leader that could not renew tries again."""
        return self.lease_s * 2 / 15


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseObservation:
    """The record last seen, and since when it has not changed, by our own clock."""

    record: LeaseRecord | None
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAcquire:
    """Try to become the leader by writing this record."""

    record: LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Somebody else leads; look again after some seconds."""

    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Write this record to go on leading."""

    record: LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadershipLost:
    """Stop: somebody else may lead now."""

    why: str


def sight(
    previous: LeaseObservation | None, record: LeaseRecord | None, *, now: float
) -> LeaseObservation:
    """What is seen now; a record that says the same as before keeps its age."""
    if previous is not None and previous.record == record:
        return LeaseObservation(record=record, since=previous.since)
    return LeaseObservation(record=record, since=now)


def next_candidate_step(
    seen: LeaseObservation, terms: LeaseConfig, *, now: float, moment: datetime, jitter: float
) -> TryAcquire | Wait:
    """What a standby does. `jitter` in [0, 1) spreads the looks of several; the lease's end is looked at on time."""
    record = seen.record
    if record is None:
        return TryAcquire(record=_taken(terms, moment, transitions=0, version=""))
    left = seen.since + record.duration_s - now
    # Held by ourselves: we took it, and the answer was lost.
    if record.holder in ("", terms.identity) or left <= 0:
        # The field has 31 bits: the API server refuses a number beyond.
        transitions = (record.transitions + 1) % 2**31
        return TryAcquire(
            record=_taken(terms, moment, transitions=transitions, version=record.version)
        )
    return Wait(for_s=min(terms.retry_s * (1 - jitter / 2), left))


def next_leader_step(
    found: LeaseRecord | None, mine: LeaseRecord, terms: LeaseConfig, *, moment: datetime
) -> Renew | LeadershipLost:
    """What a leader does that finds `found` where it wrote `mine`."""
    if found is None:
        # Somebody deleted it. Of all who make it anew one succeeds; perhaps it is us.
        return Renew(record=replace(mine, renewed_at=moment, version=""))
    if found.holder != terms.identity:
        return LeadershipLost(why=f"held by {found.holder or 'nobody'}")
    return Renew(record=replace(found, renewed_at=moment))


def is_ours(renewed: float | None, terms: LeaseConfig, *, now: float) -> bool:
    """Whether the lease, last renewed at `renewed`, is surely ours."""
    return renewed is not None and now - renewed < terms.deadline_s


def released(record: LeaseRecord, *, moment: datetime) -> LeaseRecord:
    """The record of a leader that stops: free for anybody at once."""
    return replace(record, holder="", duration_s=1, renewed_at=moment)


def _taken(terms: LeaseConfig, moment: datetime, *, transitions: int, version: str) -> LeaseRecord:
    return LeaseRecord(
        holder=terms.identity,
        duration_s=terms.lease_s,
        acquired_at=moment,
        renewed_at=moment,
        transitions=transitions,
        version=version,
    )

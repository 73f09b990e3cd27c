"""Who works: what a replica does about the lease, from what it has observation and the time. Pure.

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
    lease_duration_s: int = 15

    @property
    def renew_deadline_s(self) -> float:
        """A leader that could not renew for this long stops."""
        return self.lease_duration_s * 2 / 3

    @property
    def renew_interval_s(self) -> float:
        """How often a leader renews."""
        return self.lease_duration_s / 3

    @property
    def retry_interval_s(self) -> float:
        """How often, at the least, a standby looks, and a leader that could not renew tries again."""
        return self.lease_duration_s * 2 / 15


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseObservation:
    """The record last observation, and since when it has not changed, by our own clock."""

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

    reason: str


def observe(
    previous: LeaseObservation | None, record: LeaseRecord | None, *, now: float
) -> LeaseObservation:
    """What is observation now; a record that says the same as before keeps its age."""
    if previous is not None and previous.record == record:
        return LeaseObservation(record=record, since=previous.since)
    return LeaseObservation(record=record, since=now)


def next_candidate_step(
    observation: LeaseObservation,
    config: LeaseConfig,
    *,
    now: float,
    moment: datetime,
    jitter: float,
) -> TryAcquire | Wait:
    """What a standby does. `jitter` in [0, 1) spreads the looks of several; the lease's end is looked at on time."""
    record = observation.record
    if record is None:
        return TryAcquire(record=_acquired_record(config, moment, transitions=0, version=""))
    left = observation.since + record.duration_s - now
    # Held by ourselves: we took it, and the answer was lost.
    if record.holder in ("", config.identity) or left <= 0:
        # The field has 31 bits: the API server refuses a number beyond.
        transitions = (record.transitions + 1) % 2**31
        return TryAcquire(
            record=_acquired_record(config, moment, transitions=transitions, version=record.version)
        )
    return Wait(for_s=min(config.retry_interval_s * (1 - jitter / 2), left))


def next_leader_step(
    current: LeaseRecord | None, last_written: LeaseRecord, config: LeaseConfig, *, moment: datetime
) -> Renew | LeadershipLost:
    """What a leader does that finds `current` where it wrote `last_written`."""
    if current is None:
        # Somebody deleted it. Of all who make it anew one succeeds; perhaps it is us.
        return Renew(record=replace(last_written, renewed_at=moment, version=""))
    if current.holder != config.identity:
        return LeadershipLost(reason=f"held by {current.holder or 'nobody'}")
    return Renew(record=replace(current, renewed_at=moment))


def is_held(renewed: float | None, config: LeaseConfig, *, now: float) -> bool:
    """Whether the lease, last renewed at `renewed`, is surely ours."""
    return renewed is not None and now - renewed < config.renew_deadline_s


def released_record(record: LeaseRecord, *, moment: datetime) -> LeaseRecord:
    """The record of a leader that stops: free for anybody at once."""
    return replace(record, holder="", duration_s=1, renewed_at=moment)


def _acquired_record(
    config: LeaseConfig, moment: datetime, *, transitions: int, version: str
) -> LeaseRecord:
    return LeaseRecord(
        holder=config.identity,
        duration_s=config.lease_duration_s,
        acquired_at=moment,
        renewed_at=moment,
        transitions=transitions,
        version=version,
    )

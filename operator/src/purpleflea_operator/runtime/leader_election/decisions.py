"""Decisions of leader election: the next step of a replica, from the observed lease and the time. Pure.

The module must not trust clocks of other machines. A standby treats the lease as expired once it has observed no change
for the duration of the lease on its own monotonic clock. A leader stops earlier, at the renew deadline, so the two
periods never overlap:

    renewal is sent        renew deadline                      lease duration
    |-- leader may write --|-- no replica may write (1/3) --|-- standby may acquire
       on the leader's clock, from before the request           on the standby's clock, from the first
                                                                observation of the renewal, which is later
"""

from dataclasses import dataclass, replace
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.kube.lease import LeaseRecord
from purpleflea_operator.parsing import resource_version


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseConfig:
    """Identity of this replica and timing of the lease.

    The intervals have the ratios of client-go, in which the lease is longer than the renew deadline, and the deadline
    is longer than several retries. With the default of 10 s, the API server can fail for 3.7 s without a change of the
    leader: the renew deadline (6.7 s) without the renew interval (2 s) and the retry interval (1 s). A standby reads a
    released lease within the retry interval.
    """

    identity: str
    lease_duration_s: int = 10

    @property
    def renew_deadline_s(self) -> float:
        """Time without a renewal after which a leader stops."""
        return self.lease_duration_s * 2 / 3

    @property
    def renew_interval_s(self) -> float:
        """Interval between two renewals of a leader."""
        return self.lease_duration_s / 5

    @property
    def retry_interval_s(self) -> float:
        """Longest interval between two reads of a standby, or between two attempts of a leader after a failure."""
        return self.lease_duration_s / 10

    @property
    def request_timeout_s(self) -> float:
        """Timeout of one request for the lease. A leader can try twice before its deadline if a connection hangs."""
        return min(timings.LEASE_REQUEST_TIMEOUT_S, self.renew_deadline_s / 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseObservation:
    """The record that was read last, and the time on our own clock since which it has not changed."""

    record: LeaseRecord | None
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAcquire:
    """Write this record to become the leader."""

    record: LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Another replica leads. Read the lease again after this time."""

    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Write this record to remain the leader."""

    record: LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadershipLost:
    """Stop, because another replica may lead now."""

    reason: str


def observe(
    previous: LeaseObservation | None, record: LeaseRecord | None, *, now: float
) -> LeaseObservation:
    """Return the new observation. A record with unchanged content keeps its age, even if its version changed."""
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
    """Return the next step of a standby.

    `jitter` in [0, 1) spreads the reads of several standbys. The read at the end of the lease is not delayed.
    """
    record = observation.record
    if record is None:
        return TryAcquire(record=_acquired_record(config, moment, transitions=0, version=""))
    remaining_s = observation.since + record.duration_s - now
    # If the holder is this replica, it acquired the lease and the response was lost.
    if record.holder in ("", config.identity) or remaining_s <= 0:
        # The field is an int32. The API server rejects a larger number.
        transitions = (record.transitions + 1) % 2**31
        return TryAcquire(
            record=_acquired_record(config, moment, transitions=transitions, version=record.version)
        )
    return Wait(for_s=min(config.retry_interval_s * (1 - jitter / 2), remaining_s))


def next_leader_step(
    current: LeaseRecord | None, last_written: LeaseRecord, config: LeaseConfig, *, moment: datetime
) -> Renew | LeadershipLost:
    """Return the next step of a leader that wrote `last_written` and now reads `current`."""
    if current is None:
        # The Lease was deleted. All replicas try to create it, and the API server accepts exactly one of them.
        return Renew(record=replace(last_written, renewed_at=moment, version=""))
    if current.holder != config.identity:
        reason = f"held by {current.holder}" if current.holder else "released by another client"
        return LeadershipLost(reason=reason)
    return Renew(record=replace(current, renewed_at=moment))


def is_restored(current: LeaseRecord, last: LeaseRecord) -> bool:
    """Return True if the resource versions of the API server decreased, as after a restore of etcd from a backup.

    The caches then hold newer versions than the API server and would ignore all changes, and the watches would miss
    them. Only a new process lists everything again.
    """
    return resource_version(current.version) < resource_version(last.version)


def is_held(renewed: float | None, config: LeaseConfig, *, now: float) -> bool:
    """Return True if no other replica can hold the lease, which this replica last renewed at `renewed`."""
    return renewed is not None and now - renewed < config.renew_deadline_s


def released_record(record: LeaseRecord, *, moment: datetime) -> LeaseRecord:
    """Return the record that a stopping leader writes, so that a standby can acquire the lease at once."""
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

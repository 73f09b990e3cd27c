import asyncio
from datetime import UTC, datetime

import pytest

from purpleflea_operator.kube import errors
from purpleflea_operator.kube.lease import LeaseRecord
from purpleflea_operator.runtime.leader_election.decisions import LeaseConfig
from purpleflea_operator.runtime.leader_election.elector import LeaderElector, LeaseLostError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class LeaseStore:
    """Lease in memory. Requests raise the `failures` first."""

    def __init__(self):
        self.record = None
        self.version = 0
        self.failures = []
        self.writes = []
        self._changed = asyncio.Event()

    async def until_writes(self, number):
        """Wait until the lease has been written `number` times."""
        async with asyncio.timeout(5):
            while len(self.writes) < number:
                self._changed.clear()
                await self._changed.wait()

    async def read(self):
        self._fail()
        return self.record

    async def write(self, record):
        self._fail()
        current = self.record.version if self.record else ""
        if record.version != current:
            raise errors.Conflict("not the newest")
        return self.put(record)

    def put(self, record):
        self.version += 1
        self.record = replace_version(record, str(self.version))
        self.writes.append(self.record.holder)
        self._changed.set()
        return self.record

    def _fail(self):
        if self.failures:
            raise self.failures.pop(0)


def replace_version(record, version):
    return LeaseRecord(
        holder=record.holder,
        duration_s=record.duration_s,
        acquired_at=record.acquired_at,
        renewed_at=record.renewed_at,
        transitions=record.transitions,
        version=version,
    )


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def leases():
    return LeaseStore()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def elector(leases, clock):
    # The lease lasts 1 s, because the tests wait in real time.
    return LeaderElector(
        leases,
        LeaseConfig(identity="us", lease_duration_s=1),
        clock=clock,
        now=lambda: NOON,
        jitter=lambda: 0.5,
    )


def held_by(leases, holder):
    leases.put(
        LeaseRecord(holder=holder, duration_s=15, acquired_at=NOON, renewed_at=NOON, transitions=1)
    )


async def test_writes_are_rejected_before_the_lease_is_acquired(elector):
    with pytest.raises(errors.Fenced):
        elector.guard()
    await elector.acquire()
    elector.guard()


async def test_writes_are_rejected_after_the_process_was_frozen(elector, clock):
    await elector.acquire()
    clock.seconds += 20
    with pytest.raises(errors.Fenced):
        elector.guard()


async def test_a_leader_that_was_frozen_does_not_write_the_lease(elector, clock, leases):
    await elector.acquire()
    clock.seconds += 20
    with pytest.raises(LeaseLostError, match="not renewed"):
        await elector.keep_renewing()
    await elector.release()
    assert leases.writes == ["us"]


async def test_a_leader_stops_if_another_replica_holds_the_lease(elector, leases):
    await elector.acquire()
    held_by(leases, "them")
    with pytest.raises(LeaseLostError, match="held by them"):
        await elector.keep_renewing()


async def test_a_lost_response_does_not_lose_the_lease(elector, leases):
    await elector.acquire()
    leases.put(leases.record)  # our own renewal, whose response was lost
    renewing = asyncio.create_task(elector.keep_renewing())
    await leases.until_writes(3)
    renewing.cancel()
    assert leases.writes == ["us", "us", "us"]


async def test_a_deleted_lease_is_recreated(elector, leases):
    await elector.acquire()
    leases.record = None
    leases.failures = [errors.NotFound("gone")]
    renewing = asyncio.create_task(elector.keep_renewing())
    await leases.until_writes(2)
    renewing.cancel()
    assert leases.record.holder == "us"


async def test_a_leader_retries_renewals_until_the_deadline(elector, leases, clock):
    await elector.acquire()

    class Down(list):
        def pop(self, _):
            clock.seconds += 0.2
            return errors.Unavailable("down")

    leases.failures = Down([1])
    with pytest.raises(LeaseLostError):
        await elector.keep_renewing()
    assert clock.seconds >= 100.0 + 2 / 3


async def test_a_standby_retries_after_failures_and_measures_the_time_since_contact(
    elector, leases
):
    leases.failures = [errors.Unavailable("down"), errors.Throttled("slow down", 1.0)]
    assert elector.since_contact_s == float("inf")
    await elector.acquire()
    assert elector.is_leading
    assert elector.since_contact_s == 0.0


async def test_a_replica_whose_acquire_conflicts_does_not_lead(elector, leases):
    leases.failures = []
    original = leases.read

    async def read_then_lose():
        record = await original()
        if not leases.writes:
            held_by(leases, "them")
        return record

    leases.read = read_then_lose
    acquiring = asyncio.create_task(elector.acquire())
    await leases.until_writes(1)
    await asyncio.sleep(0)
    assert not elector.is_leading
    acquiring.cancel()


async def test_a_missing_permission_for_the_lease_is_raised(elector, leases):
    leases.failures = [errors.Forbidden("leases is forbidden")]
    with pytest.raises(errors.Forbidden):
        await elector.acquire()


async def test_release_frees_the_lease_and_ends_writes(elector, leases):
    await elector.acquire()
    await elector.release()
    assert leases.record.holder == ""
    with pytest.raises(errors.Fenced):
        elector.guard()


async def test_an_error_of_release_is_ignored(elector, leases):
    await elector.acquire()
    leases.failures = [errors.Unavailable("down")]
    await elector.release()
    assert leases.record.holder == "us"


async def test_a_standby_ends_if_the_api_server_was_restored(elector, leases):
    leases.version = 40
    held_by(leases, "them")
    acquiring = asyncio.create_task(elector.acquire())
    await elector.standing_by.wait()
    assert not elector.is_leading
    leases.version = 7
    held_by(leases, "them")
    with pytest.raises(LeaseLostError, match="from 41 to 8, as after a restore"):
        await acquiring


async def test_a_request_for_the_lease_that_hangs_does_not_cost_the_leadership(elector, leases):
    await elector.acquire()
    original, hung = leases.write, []

    async def hang_once(record):
        if not hung:
            hung.append(record)
            await asyncio.Event().wait()
        return await original(record)

    leases.write = hang_once
    renewing = asyncio.create_task(elector.keep_renewing())
    await leases.until_writes(2)
    renewing.cancel()
    assert hung
    assert elector.is_leading

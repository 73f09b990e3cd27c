from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.kube.lease import LEASE, LeaseRecord, lease_manifest, lease_record
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.runtime.leader_election import decisions
from purpleflea_operator.runtime.leader_election.decisions import (
    LeadershipLost,
    LeaseConfig,
    LeaseObservation,
    Renew,
    TryAcquire,
    Wait,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
US = LeaseConfig(identity="us", lease_duration_s=15)


def a_record(holder="them", **changes):
    record = LeaseRecord(
        holder=holder, duration_s=15, acquired_at=NOON, renewed_at=NOON, transitions=3, version="7"
    )
    return replace(record, **changes)


def next_candidate_step(seen, now, jitter=0.0):
    return decisions.next_candidate_step(seen, US, now=now, moment=NOON, jitter=jitter)


def test_a_lease_that_nobody_ever_wrote_is_taken():
    step = next_candidate_step(LeaseObservation(record=None, since=0.0), 0.0)
    assert step == TryAcquire(record=a_record("us", transitions=0, version=""))
    assert step.record.version == ""


@pytest.mark.parametrize(
    ("record", "age", "taken"),
    [
        (a_record("them"), 0.0, False),
        (a_record("them"), 14.9, False),
        (a_record("them"), 15.0, True),
        (a_record("them", duration_s=60), 15.0, False),
        (a_record("them", duration_s=60), 60.0, True),
        (a_record(""), 0.0, True),
        (a_record("us"), 0.0, True),
        # What the record says about the time does not count: clocks of other machines may be wrong.
        (a_record("them", renewed_at=NOON - timedelta(days=1)), 0.0, False),
        (a_record("them", renewed_at=NOON + timedelta(days=1)), 15.0, True),
    ],
)
def test_a_lease_is_taken_when_it_is_free_or_has_not_changed_for_its_duration(record, age, taken):
    step = next_candidate_step(LeaseObservation(record=record, since=100.0), 100.0 + age)
    assert isinstance(step, TryAcquire) is taken
    if taken:
        assert (step.record.holder, step.record.transitions) == ("us", 4)
        assert step.record.version == record.version


@pytest.mark.parametrize(
    ("age", "jitter", "wait"), [(0.0, 0.0, 2.0), (0.0, 1.0, 1.0), (14.5, 0.0, 0.5)]
)
def test_a_standby_looks_again_soon_and_on_time_when_the_lease_ends(age, jitter, wait):
    seen = LeaseObservation(record=a_record("them"), since=100.0)
    assert next_candidate_step(seen, 100.0 + age, jitter) == Wait(for_s=pytest.approx(wait))


def test_a_record_keeps_its_age_while_it_says_the_same():
    first = decisions.observe(None, a_record(), now=1.0)
    same = decisions.observe(first, a_record(version="8"), now=5.0)
    assert (same.since, same.record.version) == (1.0, "8")
    renewed = decisions.observe(same, a_record(renewed_at=NOON + timedelta(seconds=5)), now=6.0)
    assert renewed.since == 6.0


def next_leader_step(found):
    later = NOON + timedelta(seconds=5)
    return decisions.next_leader_step(found, a_record("us"), US, moment=later)


@pytest.mark.parametrize(
    ("found", "version"), [(a_record("us", version="9"), "9"), (None, "")], ids=["ours", "deleted"]
)
def test_a_leader_renews_what_is_its_own_and_makes_anew_what_was_deleted(found, version):
    step = next_leader_step(found)
    assert isinstance(step, Renew)
    assert (step.record.holder, step.record.version) == ("us", version)
    assert step.record.renewed_at == NOON + timedelta(seconds=5)
    assert step.record.acquired_at == NOON


@pytest.mark.parametrize("holder", ["them", ""])
def test_a_leader_that_finds_another_holder_has_lost(holder):
    assert isinstance(next_leader_step(a_record(holder)), LeadershipLost)


@pytest.mark.parametrize(
    ("renewed", "now", "ours"),
    [(None, 0.0, False), (100.0, 100.0, True), (100.0, 109.9, True), (100.0, 110.0, False)],
)
def test_a_lease_is_surely_ours_until_the_deadline(renewed, now, ours):
    assert decisions.is_held(renewed, US, now=now) is ours


def test_a_leader_stops_five_seconds_before_another_may_start():
    assert (US.renew_deadline_s, US.renew_interval_s, US.retry_interval_s) == (10.0, 5.0, 2.0)
    assert US.lease_duration_s - US.renew_deadline_s == 5.0


def test_a_released_lease_is_free_at_once():
    free = decisions.released_record(a_record("us"), moment=NOON)
    assert isinstance(
        next_candidate_step(LeaseObservation(record=free, since=0.0), 0.0), TryAcquire
    )
    assert free.version == "7"


def test_a_record_survives_the_way_through_the_api():
    record = a_record(renewed_at=NOON + timedelta(microseconds=42))
    body = lease_manifest(record, ObjectRef(kind=LEASE, namespace="system", name="operator"))
    assert body["spec"]["renewTime"] == "2026-11-22T12:00:00.000042Z"
    assert lease_record(body) == record


def test_a_lease_of_somebody_who_left_everything_out_is_free():
    found = lease_record({"metadata": {"resourceVersion": "1"}, "spec": {}})
    assert (found.holder, found.transitions) == ("", 0)
    assert isinstance(
        next_candidate_step(LeaseObservation(record=found, since=0.0), 0.0), TryAcquire
    )

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
from purpleflea_operator.settings import OperatorSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
US = LeaseConfig(identity="us", lease_duration_s=15)


def a_record(holder="them", **changes):
    record = LeaseRecord(
        holder=holder, duration_s=15, acquired_at=NOON, renewed_at=NOON, transitions=3, version="7"
    )
    return replace(record, **changes)


def next_candidate_step(observation, now, jitter=0.0):
    return decisions.next_candidate_step(observation, US, now=now, moment=NOON, jitter=jitter)


def test_a_missing_lease_is_acquired():
    step = next_candidate_step(LeaseObservation(record=None, since=0.0), 0.0)
    assert step == TryAcquire(record=a_record("us", transitions=0, version=""))
    assert step.record.version == ""


@pytest.mark.parametrize(
    ("record", "age", "acquired"),
    [
        (a_record("them"), 0.0, False),
        (a_record("them"), 14.9, False),
        (a_record("them"), 15.0, True),
        (a_record("them", duration_s=60), 15.0, False),
        (a_record("them", duration_s=60), 60.0, True),
        (a_record(""), 0.0, True),
        (a_record("us"), 0.0, True),
        # The times in the record do not count, because clocks of other machines may be wrong.
        (a_record("them", renewed_at=NOON - timedelta(days=1)), 0.0, False),
        (a_record("them", renewed_at=NOON + timedelta(days=1)), 15.0, True),
    ],
)
def test_a_lease_is_acquired_if_it_is_free_or_unchanged_for_its_duration(record, age, acquired):
    step = next_candidate_step(LeaseObservation(record=record, since=100.0), 100.0 + age)
    assert isinstance(step, TryAcquire) is acquired
    if acquired:
        assert (step.record.holder, step.record.transitions) == ("us", 4)
        assert step.record.version == record.version


@pytest.mark.parametrize(
    ("age", "jitter", "wait"), [(0.0, 0.0, 1.5), (0.0, 1.0, 0.75), (14.5, 0.0, 0.5)]
)
def test_a_standby_reads_the_lease_again_no_later_than_its_end(age, jitter, wait):
    observation = LeaseObservation(record=a_record("them"), since=100.0)
    assert next_candidate_step(observation, 100.0 + age, jitter) == Wait(for_s=pytest.approx(wait))


def test_a_record_keeps_its_age_while_its_content_is_unchanged():
    first = decisions.observe(None, a_record(), now=1.0)
    same = decisions.observe(first, a_record(version="8"), now=5.0)
    assert (same.since, same.record.version) == (1.0, "8")
    renewed = decisions.observe(same, a_record(renewed_at=NOON + timedelta(seconds=5)), now=6.0)
    assert renewed.since == 6.0


def next_leader_step(current):
    later = NOON + timedelta(seconds=5)
    return decisions.next_leader_step(current, a_record("us"), US, moment=later)


@pytest.mark.parametrize(
    ("current", "version"),
    [(a_record("us", version="9"), "9"), (None, "")],
    ids=["ours", "deleted"],
)
def test_a_leader_renews_its_lease_and_recreates_a_deleted_one(current, version):
    step = next_leader_step(current)
    assert isinstance(step, Renew)
    assert (step.record.holder, step.record.version) == ("us", version)
    assert step.record.renewed_at == NOON + timedelta(seconds=5)
    assert step.record.acquired_at == NOON


@pytest.mark.parametrize("holder", ["them", ""])
def test_a_leader_loses_leadership_if_the_lease_has_another_holder(holder):
    assert isinstance(next_leader_step(a_record(holder)), LeadershipLost)


@pytest.mark.parametrize(
    ("renewed", "now", "ours"),
    [(None, 0.0, False), (100.0, 100.0, True), (100.0, 109.9, True), (100.0, 110.0, False)],
)
def test_a_lease_is_held_until_the_renew_deadline(renewed, now, ours):
    assert decisions.is_held(renewed, US, now=now) is ours


@pytest.mark.parametrize("lease_s", [1, 3, 10, 15, 300])
def test_a_leader_can_retry_before_it_stops_and_stops_before_a_standby_may_acquire(lease_s):
    config = LeaseConfig(identity="us", lease_duration_s=lease_s)
    # Of the lease, the renew deadline, and several retries, each is longer than the next.
    assert config.lease_duration_s > config.renew_deadline_s > 3 * config.retry_interval_s
    # One renewal that hangs until its timeout leaves time for another one.
    attempts_s = config.request_timeout_s + config.retry_interval_s
    assert config.renew_interval_s + attempts_s < config.renew_deadline_s
    assert config.lease_duration_s - config.renew_deadline_s == pytest.approx(lease_s / 3)


def test_the_default_lease_ends_ten_seconds_after_its_last_renewal():
    config = LeaseConfig(identity="us")
    assert (config.lease_duration_s, config.renew_interval_s, config.retry_interval_s) == (10, 2, 1)
    assert OperatorSettings().lease_s == config.lease_duration_s


def test_a_released_lease_is_free_at_once():
    free = decisions.released_record(a_record("us"), moment=NOON)
    assert isinstance(
        next_candidate_step(LeaseObservation(record=free, since=0.0), 0.0), TryAcquire
    )
    assert free.version == "7"


def test_a_record_is_unchanged_after_conversion_to_a_manifest():
    record = a_record(renewed_at=NOON + timedelta(microseconds=42))
    body = lease_manifest(record, ObjectRef(kind=LEASE, namespace="system", name="operator"))
    assert body["spec"]["renewTime"] == "2026-11-22T12:00:00.000042Z"
    assert lease_record(body) == record


def test_a_lease_with_an_empty_spec_is_free():
    current = lease_record({"metadata": {"resourceVersion": "1"}, "spec": {}})
    assert (current.holder, current.transitions) == ("", 0)
    assert isinstance(
        next_candidate_step(LeaseObservation(record=current, since=0.0), 0.0), TryAcquire
    )


@pytest.mark.parametrize(
    ("version", "is_restored"), [("6", True), ("7", False), ("8", False), ("10", False)]
)
def test_a_lease_with_an_older_version_shows_a_restored_api_server(version, is_restored):
    assert decisions.is_restored(a_record(version=version), a_record()) is is_restored

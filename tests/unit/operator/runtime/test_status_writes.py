"""Limits of the status writes of one object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator import timings
from purpleflea_operator.runtime.status_writes import BURST, WriteRateLimiter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return WriteRateLimiter(clock)


def test_the_first_write_is_allowed_at_once(limiter):
    assert limiter.wait_s() == 0.0
    assert limiter.since_write_s() == float("inf")


def test_two_writes_are_allowed_at_once_and_the_third_waits_a_second(limiter, clock):
    limiter.record_write()
    assert limiter.wait_s() == 0.0
    limiter.record_write()
    assert limiter.wait_s() == timings.STATUS_INTERVAL_S
    clock.now += timings.STATUS_INTERVAL_S
    assert limiter.wait_s() == 0.0


def test_the_limits_of_agents_are_independent(limiter, clock):
    limiter.record_write()
    limiter.record_write()
    assert WriteRateLimiter(clock).wait_s() == 0.0


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_after_two_writes_no_pattern_of_requests_exceeds_one_write_per_second(pauses):
    clock = Clock()
    limiter, began, written = WriteRateLimiter(clock), clock.now, 0
    for pause in pauses:
        clock.now += pause
        if limiter.wait_s() == 0.0:
            limiter.record_write()
            written += 1
        assert written <= BURST + (clock.now - began) / timings.STATUS_INTERVAL_S + 1e-6


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_a_write_is_allowed_after_the_returned_delay(pauses):
    clock = Clock()
    limiter = WriteRateLimiter(clock)
    for pause in pauses:
        clock.now += pause
        clock.now += limiter.wait_s() + 1e-9
        assert limiter.wait_s() == 0.0
        limiter.record_write()


def test_rejected_writes_wait_longer_until_one_succeeds(limiter, clock):
    waits = []
    for _ in range(9):
        limiter.record_write()
        limiter.record_failure()
        waits.append(limiter.wait_s())
        clock.now += limiter.wait_s()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    limiter.record_write()
    limiter.record_success({}, {})
    limiter.record_write()
    limiter.record_failure()
    assert limiter.wait_s() == 1


def a_status(reason, **fields):
    time = fields.pop("time", "2026-01-02T00:00:00Z")
    condition = {"type": "Ready", "reason": reason, "lastTransitionTime": time}
    return {"conditions": [condition], **fields}


@pytest.mark.parametrize(
    ("stored", "current", "is_repetition"),
    [
        # Stored as wanted, and changed by another client since.
        (a_status("Ready"), a_status("Foreign"), False),
        (a_status("Ready"), a_status("Ready", time="2026-01-03T00:00:00Z"), False),
        # A field that the CRD does not have.
        ({}, {}, True),
        # A webhook that changes a condition, which has a new time after each write.
        (a_status("Foreign"), a_status("Foreign"), True),
        (a_status("Foreign"), a_status("Foreign", time="2026-01-03T00:00:00Z"), True),
        (a_status("Foreign"), a_status("Other"), False),
        (a_status("Ready", extra=1), a_status("Ready", extra=1), True),
    ],
)
def test_a_status_is_not_repeated_if_it_is_stored_as_another_one(
    limiter, stored, current, is_repetition
):
    assert not limiter.is_repetition(a_status("Ready"), current)
    limiter.record_success(a_status("Ready"), stored)
    wanted = a_status("Ready", time="2026-01-04T00:00:00Z")
    assert limiter.is_repetition(wanted, current) is is_repetition
    assert not limiter.is_repetition(a_status("NotReady"), current)


def test_a_limiter_without_a_burst_allows_one_write_per_second(clock):
    limiter = WriteRateLimiter(clock, burst=1)
    limiter.record_write()
    assert limiter.wait_s() == timings.STATUS_INTERVAL_S

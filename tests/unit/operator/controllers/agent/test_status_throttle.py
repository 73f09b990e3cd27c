import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.status_throttle import (
    BURST,
    Debounce,
    WriteRateLimiter,
    pods_are_behind,
)
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state


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


def with_ready(count, *pods):
    """Return an agent whose StatefulSet counts so many ready pods."""
    return observed_state(stateful_set=a_stateful_set(1, ready=count), pods=pods)


@pytest.mark.parametrize(
    ("observed", "is_behind"),
    [
        (with_ready(1), True),
        (with_ready(1, a_pod(ready=False)), True),
        (with_ready(1, a_pod()), False),
        (with_ready(0), False),
        (observed_state(agent=None), False),
    ],
)
def test_pods_are_behind_if_the_stateful_set_counts_more_ready_pods(observed, is_behind):
    assert pods_are_behind(observed) is is_behind


def test_a_debounce_ends_after_its_limit(clock):
    debounce, other = Debounce(clock, 15.0), Debounce(clock, 15.0)
    assert debounce.remaining_s(waits=True) == 15.0
    clock.now += 4.0
    assert debounce.remaining_s(waits=True) == 11.0
    assert other.remaining_s(waits=True) == 15.0
    clock.now += 12.0
    assert debounce.remaining_s(waits=True) == 0.0


def test_a_debounce_starts_again_after_the_condition_did_not_hold(clock):
    debounce = Debounce(clock, 15.0)
    debounce.remaining_s(waits=True)
    clock.now += 20.0
    assert debounce.remaining_s(waits=False) == 0.0
    assert debounce.remaining_s(waits=True) == 15.0


def test_rejected_writes_wait_longer_until_one_succeeds(limiter, clock):
    waits = []
    for _ in range(9):
        limiter.record_write()
        limiter.record_failure()
        waits.append(limiter.wait_s())
        clock.now += limiter.wait_s()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    limiter.record_write()
    limiter.record_success()
    limiter.record_write()
    limiter.record_failure()
    assert limiter.wait_s() == 1

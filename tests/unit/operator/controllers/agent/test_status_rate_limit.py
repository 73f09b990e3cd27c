import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.status_throttle import (
    AT_ONCE,
    WriteRateLimiter,
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return WriteRateLimiter(clock)


def test_an_agent_never_written_may_be_written_now(pace):
    assert pace.wait_s("a") == 0.0
    assert pace.since_write_s("a") == float("inf")


def test_two_writes_go_at_once_and_the_third_waits_a_second(pace, clock):
    pace.spend("a")
    assert pace.wait_s("a") == 0.0
    pace.spend("a")
    assert pace.wait_s("a") == timings.STATUS_INTERVAL_S
    clock.now += timings.STATUS_INTERVAL_S
    assert pace.wait_s("a") == 0.0


def test_agents_do_not_wait_for_each_other(pace):
    pace.spend("a")
    pace.spend("a")
    assert pace.wait_s("b") == 0.0


def test_an_agent_that_is_gone_leaves_nothing_behind(pace):
    pace.spend("a")
    pace.spend("a")
    pace.forget("a")
    assert pace.wait_s("a") == 0.0
    pace.forget("never seen")


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_no_pattern_of_wishes_writes_more_than_once_a_second_after_the_first_two(pauses):
    clock = Clock()
    pace, began, written = WriteRateLimiter(clock), clock.now, 0
    for pause in pauses:
        clock.now += pause
        if pace.wait_s("a") == 0.0:
            pace.spend("a")
            written += 1
        assert written <= AT_ONCE + (clock.now - began) / timings.STATUS_INTERVAL_S + 1e-6


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_who_waits_as_told_is_let_through(pauses):
    clock = Clock()
    pace = WriteRateLimiter(clock)
    for pause in pauses:
        clock.now += pause
        clock.now += pace.wait_s("a") + 1e-9
        assert pace.wait_s("a") == 0.0
        pace.spend("a")

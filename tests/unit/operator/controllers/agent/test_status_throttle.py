import pytest

from purpleflea_operator.controllers.agent.decisions.status_throttle import (
    Debounce,
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

import pytest

from purpleflea_operator.controllers.agent.decisions.status_throttle import (
    Debounce,
    pods_are_behind,
)
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state


def with_ready(count, *pods):
    """An agent whose StatefulSet counts so many ready pods."""
    return observed_state(stateful_set=a_stateful_set(1, ready=count), pods=pods)


@pytest.mark.parametrize(
    ("observed", "is_so"),
    [
        (with_ready(1), True),
        (with_ready(1, a_pod(ready=False)), True),
        (with_ready(1, a_pod()), False),
        (with_ready(0), False),
        (observed_state(agent=None), False),
    ],
)
def test_pods_are_behind_where_the_workload_counts_more_of_them(observed, is_so):
    assert pods_are_behind(observed) is is_so


def test_what_takes_longer_than_the_limit_is_waited_for_no_more():
    now = [0.0]
    patience = Debounce(lambda: now[0], 15.0)
    assert patience.left_s("a", waits=True) == 15.0
    now[0] = 4.0
    assert patience.left_s("a", waits=True) == 11.0
    assert patience.left_s("another", waits=True) == 15.0
    now[0] = 16.0
    assert patience.left_s("a", waits=True) == 0.0


def test_the_next_wait_is_a_new_one():
    now = [0.0]
    patience = Debounce(lambda: now[0], 15.0)
    patience.left_s("a", waits=True)
    now[0] = 20.0
    assert patience.left_s("a", waits=False) == 0.0
    assert patience.left_s("a", waits=True) == 15.0

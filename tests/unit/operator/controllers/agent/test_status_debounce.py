import pytest

from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, pod
from purpleflea_operator.controllers.agent.decisions.status_throttle import (
    Debounce,
    pods_are_behind,
)
from support.builders import a_pod


def a_world(*pods, ready=1):
    stateful_set = {"kind": "StatefulSet", "status": {"readyReplicas": ready}}
    return ObservedState(
        agent=None,
        generation=1,
        children={("StatefulSet", "momentum"): stateful_set},
        pods=[pod(item) for item in pods],
    )


@pytest.mark.parametrize(
    ("world", "is_so"),
    [
        (a_world(), True),
        (a_world(a_pod(ready=False)), True),
        (a_world(a_pod()), False),
        (a_world(ready=0), False),
        (ObservedState(agent=None, generation=1), False),
    ],
)
def test_pods_are_behind_where_the_workload_counts_more_of_them(world, is_so):
    assert pods_are_behind(world) is is_so


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

from purpleflea_operator.reconcile.lag import LIMIT_S, LOOK_AGAIN_S, Lag
from purpleflea_operator.reconcile.world import World, pod
from support.builders import a_pod


def a_world(*pods, ready=1):
    stateful_set = {"kind": "StatefulSet", "status": {"readyReplicas": ready}}
    return World(
        agent=None,
        generation=1,
        children={("StatefulSet", "momentum"): stateful_set},
        pods=[pod(item) for item in pods],
    )


def test_a_stateful_set_that_counts_pods_which_are_not_known_is_ahead_for_a_moment():
    now = [0.0]
    lag = Lag(lambda: now[0])
    assert lag.wait_s("a", a_world()) == LOOK_AGAIN_S
    now[0] = LIMIT_S
    assert lag.wait_s("a", a_world()) is None


def test_known_pods_end_the_wait_and_the_next_lag_is_a_new_one():
    now = [0.0]
    lag = Lag(lambda: now[0])
    lag.wait_s("a", a_world())
    assert lag.wait_s("a", a_world(a_pod())) is None
    now[0] = LIMIT_S
    assert lag.wait_s("a", a_world(a_pod(ready=False))) == LOOK_AGAIN_S


def test_an_agent_without_a_workload_has_nothing_to_wait_for():
    assert Lag(lambda: 0.0).wait_s("a", World(agent=None, generation=1)) is None

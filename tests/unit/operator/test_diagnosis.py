from purpleflea_operator.reconcile.diagnosis import (
    DIAGNOSE_AGAIN_S,
    REFUSED_AGAIN_S,
    STUCK_AFTER_S,
    look_again_after_s,
)
from purpleflea_operator.reconcile.world import World, pod
from support.builders import a_pod


def a_world(*pods, **changes):
    return World(agent=None, generation=1, pods=[pod(item) for item in pods], **changes)


def test_where_all_is_well_nobody_looks_again():
    assert look_again_after_s(a_world(a_pod())) is None


def test_a_refused_write_is_tried_again_as_no_event_tells_that_it_would_succeed():
    assert look_again_after_s(a_world(a_pod(), failure="exceeded quota")) == REFUSED_AGAIN_S


def test_a_pod_that_hangs_is_looked_at_again_and_less_often_once_it_is_known_why():
    hanging = a_pod(ready=False, waiting="ContainerCreating")
    assert look_again_after_s(a_world(hanging)) == STUCK_AFTER_S
    known = a_world(hanging, pod_events=("secret not found",), failure="no")
    assert look_again_after_s(known) == DIAGNOSE_AGAIN_S

"""The condition Progressing, over frozen worlds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.conditions.progressing import deadline, progressing
from purpleflea_operator.controllers.agent.conditions.workload_available import TERMINAL
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, pod
from purpleflea_operator.manifests.metadata import Agent
from support.builders import a_pod, a_spec

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ("momentum-0", "momentum-1", "momentum-2")


def a_world(*pods, ready=3, updated=3, after_s=60.0, since=BEGAN, stateful_set=True, **changes):
    agent = Agent(
        namespace="trading",
        name="momentum",
        uid="u",
        generation=1,
        spec=AgentSpec.model_validate(a_spec(replicas=3)),
    )
    live = {
        "kind": "StatefulSet",
        "metadata": {"name": "momentum", "generation": 1},
        "spec": {"replicas": 3},
        "status": {
            "replicas": 3,
            "readyReplicas": ready,
            "updatedReplicas": updated,
            "observedGeneration": 1,
        },
    }
    world = ObservedState(
        agent=agent,
        generation=1,
        children={("StatefulSet", "momentum"): live} if stateful_set else {},
        pods=[pod(item) for item in pods or map(a_pod, NAMES)],
        now=BEGAN + timedelta(seconds=after_s),
        unavailable_since=since,
    )
    return replace(world, **changes)


def outcome(world):
    found = progressing(world)
    return found.status, found.reason


def unready(**changes):
    return a_pod("momentum-1", ready=False, **changes)


BROKEN = unready(waiting="ImagePullBackOff", message="no such image")
LOST = unready(node="", message="0/1 nodes are available")


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (a_world(), ("True", "Complete")),
        (a_world(updated=1), ("True", "RollingOut")),
        (a_world(stateful_set=False), ("True", "RollingOut")),
        (a_world(BROKEN, ready=2), ("False", "ImagePullFailed")),
        (a_world(unready(waiting="CrashLoopBackOff"), ready=2), ("False", "CrashLooping")),
        (a_world(LOST, ready=2), ("True", "RollingOut")),
        (a_world(LOST, ready=2, after_s=599), ("True", "RollingOut")),
        (a_world(LOST, ready=2, after_s=600), ("False", "Unschedulable")),
        (a_world(unready(), ready=2, after_s=600), ("False", "DeadlineExceeded")),
        (a_world(updated=1, after_s=600), ("False", "DeadlineExceeded")),
        (a_world(unready(), ready=2, after_s=600, since=None), ("True", "RollingOut")),
        (a_world(unready(), ready=2, after_s=600, now=None), ("True", "RollingOut")),
        (a_world(failure="quota", failure_reason="ApplyFailed"), ("False", "ApplyFailed")),
        (a_world(agent=None, invalid="spec.x: no"), ("False", "SpecInvalid")),
    ],
)
def test_a_workload_is_stuck_at_once_where_nothing_mends_itself_else_after_ten_minutes(
    world, expected
):
    assert outcome(world) == expected


def test_every_pod_that_comes_up_gives_the_next_one_ten_minutes():
    came_up = a_pod("momentum-0")
    came_up["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T12:09:00Z"
    world = a_world(came_up, unready(), ready=1, after_s=700)
    assert outcome(world) == ("True", "RollingOut")
    assert deadline(world) == BEGAN + timedelta(minutes=19)


def test_a_pod_that_is_made_counts_as_progress():
    world = a_world(unready(created="2026-01-01T12:08:00Z"), ready=2, after_s=700)
    assert outcome(world) == ("True", "RollingOut")


def test_a_workload_that_is_all_there_or_invalid_has_no_deadline():
    assert deadline(a_world()) is None
    assert deadline(a_world(unready(), ready=2, agent=None)) is None


def test_one_that_is_being_made_anew_is_not_complete():
    world = a_world()
    live = {**world.stateful_set}
    live["metadata"] = {**live["metadata"], "deletionTimestamp": "2026-01-01T12:00:00Z"}
    assert outcome(replace(world, children={("StatefulSet", "momentum"): live})) == (
        "True",
        "RollingOut",
    )


def test_the_message_names_the_pod_and_the_remedy():
    broken = progressing(a_world(BROKEN, ready=2)).message
    assert "momentum-1 does not start: no such image; check spec.image" in broken
    late = progressing(a_world(unready(), ready=2, after_s=600)).message
    assert late == "no progress for 10 minutes: momentum-1 is not ready; see kubectl logs"


def test_pods_that_are_missing_are_told():
    late = progressing(a_world(ready=2, updated=2, after_s=600)).message
    assert "pods are missing" in late


def test_the_reasons_that_do_not_mend_themselves_are_few():
    assert {
        "ImagePullFailed",
        "ConfigurationMissing",
        "ContainerNotCreated",
        "CrashLooping",
        "PodsRefused",
        "SecretNotFound",
    } == TERMINAL

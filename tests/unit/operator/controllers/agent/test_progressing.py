"""The condition Progressing for given observed states."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.api.explanations.agent import TERMINAL
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import (
    deadline,
    progressing,
)
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ("momentum-0", "momentum-1", "momentum-2")


def a_rollout(*pods, ready=3, updated=3, after_s=60.0, since=BEGAN, stateful_set=True, **changes):
    live = a_stateful_set(ready=ready, updated=updated)
    defaults = {"now": BEGAN + timedelta(seconds=after_s), "unavailable_since": since}
    return observed_state(
        stateful_set=live if stateful_set else None,
        pods=pods or map(a_pod, NAMES),
        **{**defaults, **changes},
    )


def outcome(observed):
    found = progressing(observed)
    return found.status, found.reason


def unready(**changes):
    return a_pod("momentum-1", ready=False, **changes)


BROKEN = unready(waiting="ImagePullBackOff", message="no such image")
LOST = unready(node="", message="0/1 nodes are available")


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (a_rollout(), ("True", "Complete")),
        (a_rollout(updated=1), ("True", "RollingOut")),
        (a_rollout(stateful_set=False), ("True", "RollingOut")),
        (a_rollout(BROKEN, ready=2), ("False", "ImagePullFailed")),
        (a_rollout(unready(waiting="CrashLoopBackOff"), ready=2), ("False", "CrashLooping")),
        (a_rollout(LOST, ready=2), ("True", "RollingOut")),
        (a_rollout(LOST, ready=2, after_s=599), ("True", "RollingOut")),
        (a_rollout(LOST, ready=2, after_s=600), ("False", "Unschedulable")),
        (a_rollout(unready(), ready=2, after_s=600), ("False", "DeadlineExceeded")),
        (a_rollout(updated=1, after_s=600), ("False", "DeadlineExceeded")),
        (a_rollout(unready(), ready=2, after_s=600, since=None), ("True", "RollingOut")),
        (a_rollout(unready(), ready=2, after_s=600, now=None), ("True", "RollingOut")),
        (a_rollout(failure="quota", failure_reason="ApplyFailed"), ("False", "ApplyFailed")),
        (a_rollout(agent=None, invalid="spec.x: no"), ("False", "SpecInvalid")),
    ],
)
def test_a_rollout_is_stuck_at_once_if_a_user_must_act_else_after_ten_minutes(observed, expected):
    assert outcome(observed) == expected


def test_a_pod_that_becomes_ready_does_not_extend_the_deadline_of_another_one():
    came_up = a_pod("momentum-0")
    came_up["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T12:09:00Z"
    observed = a_rollout(came_up, unready(), ready=1, after_s=540)
    assert outcome(observed) == ("True", "RollingOut")
    assert deadline(observed) == BEGAN + timedelta(minutes=10)
    assert outcome(a_rollout(came_up, unready(), ready=1, after_s=600)) == (
        "False",
        "DeadlineExceeded",
    )


def test_each_pod_has_its_own_deadline():
    later = unready(created="2026-01-01T12:08:00Z")
    later["metadata"]["name"] = "momentum-2"
    observed = a_rollout(unready(), later, ready=1, after_s=700)
    assert outcome(observed) == ("False", "DeadlineExceeded")
    assert deadline(observed) == BEGAN + timedelta(minutes=18)


def test_missing_pods_have_ten_minutes_after_the_last_pod():
    came_up = a_pod("momentum-0")
    came_up["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T12:09:00Z"
    observed = a_rollout(came_up, ready=1, after_s=700)
    assert deadline(observed) == BEGAN + timedelta(minutes=19)


def test_a_created_pod_counts_as_progress():
    observed = a_rollout(unready(created="2026-01-01T12:08:00Z"), ready=2, after_s=700)
    assert outcome(observed) == ("True", "RollingOut")


def test_a_complete_or_invalid_rollout_has_no_deadline():
    assert deadline(a_rollout()) is None
    assert deadline(a_rollout(unready(), ready=2, agent=None)) is None


def test_a_stateful_set_that_is_being_recreated_is_not_complete():
    observed = a_rollout()
    live = {**observed.stateful_set}
    live["metadata"] = {**live["metadata"], "deletionTimestamp": "2026-01-01T12:00:00Z"}
    assert outcome(replace(observed, children={("StatefulSet", "momentum"): live})) == (
        "True",
        "RollingOut",
    )


def test_the_message_names_the_pod_and_the_remedy():
    broken = progressing(a_rollout(BROKEN, ready=2)).message
    assert "momentum-1 does not start: no such image; check spec.image" in broken
    late = progressing(a_rollout(unready(), ready=2, after_s=600)).message
    assert late == (
        "no progress for 10 minutes: momentum-1 is not ready; see kubectl logs momentum-1"
    )


def test_missing_pods_are_reported():
    late = progressing(a_rollout(ready=2, updated=2, after_s=600)).message
    assert "pods are missing" in late


def test_only_these_reasons_need_a_user():
    assert {
        "ImagePullFailed",
        "ConfigurationMissing",
        "ContainerNotCreated",
        "CrashLooping",
        "PodsRefused",
        "SecretNotFound",
    } == TERMINAL

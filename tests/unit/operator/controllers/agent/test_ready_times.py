"""The time for which a pod is ready counts from the moment at which the process saw it, not from a wall clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.controllers.agent.decisions import ready_times
from support.builders import a_pod
from support.observed_states import observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_state(*, ready, at):
    manifest = a_pod("momentum-0", ready=ready)
    manifest["status"]["conditions"][0]["lastTransitionTime"] = at
    return observed_state(pods=[manifest])


EARLY, LATE, AHEAD = "2026-01-01T10:00:00Z", "2026-01-01T11:59:00Z", "2026-01-01T13:00:00Z"


@pytest.mark.parametrize(
    ("passes", "ready_for_s"),
    [
        pytest.param([(0, True, EARLY)], 7200, id="ready before the first pass"),
        pytest.param([(0, True, EARLY), (50, True, EARLY)], 7200, id="still ready"),
        pytest.param([(0, False, EARLY), (50, True, EARLY)], 50, id="the node's clock is behind"),
        pytest.param([(0, False, EARLY), (50, True, AHEAD)], 50, id="the node's clock is ahead"),
        pytest.param([(0, None, ""), (50, True, EARLY)], 50, id="the pod is new"),
        pytest.param(
            [(0, True, EARLY), (50, True, LATE)], 50, id="it was not ready between two passes"
        ),
        pytest.param(
            [(0, False, EARLY), (20, True, LATE), (40, False, LATE), (60, True, LATE)],
            40,
            id="it was not ready in a pass",
        ),
    ],
)
def test_a_pod_is_ready_since_the_process_saw_it(passes, ready_for_s):
    times = None
    for at_s, ready, at in passes:
        state = observed_state() if ready is None else a_state(ready=ready, at=at)
        times = ready_times.seen(state.pods, times, at_s)
    found = ready_times.corrected(state, times, NOW, 100)
    assert NOW - found.pods[0].ready_since == timedelta(seconds=ready_for_s)


def test_a_pod_that_is_not_ready_keeps_its_time():
    state = a_state(ready=False, at=EARLY)
    times = ready_times.seen(state.pods, {}, 0)
    assert ready_times.corrected(state, times, NOW, 100) == state


def test_a_pod_without_a_time_is_ready_since_the_process_saw_it():
    state = a_state(ready=True, at=EARLY)
    state = replace(state, pods=[replace(state.pods[0], ready_since=None)])
    found = ready_times.corrected(state, ready_times.seen(state.pods, {}, 70), NOW, 100)
    assert NOW - found.pods[0].ready_since == timedelta(seconds=30)

from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.pod_diagnosis import PodDiagnosis, look_again_after_s
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state


def with_pods(*pods, **changes):
    return observed_state(agent=None, pods=pods, **changes)


def test_where_all_is_well_nobody_looks_again():
    assert look_again_after_s(with_pods(a_pod())) is None


def test_a_refused_write_is_tried_again_as_no_event_tells_that_it_would_succeed():
    assert (
        look_again_after_s(with_pods(a_pod(), failure="exceeded quota"))
        == timings.REFUSED_PODS_INTERVAL_S
    )


def test_a_pod_that_hangs_is_looked_at_again_and_less_often_once_it_is_known_why():
    hanging = a_pod(ready=False, waiting="ContainerCreating")
    assert look_again_after_s(with_pods(hanging)) == timings.POD_STUCK_AFTER_S
    known = with_pods(hanging, pod_events=("secret not found",), failure="no")
    assert look_again_after_s(known) == timings.DIAGNOSIS_INTERVAL_S


KEY = NamespacedName("trading", "momentum")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Told:
    """A cluster of which only events are asked."""

    def __init__(self, *events):
        self.events = list(events)
        self.asked = []

    async def events_about(self, namespace, *, uid):
        self.asked.append((namespace, uid))
        return self.events


def an_event(reason="FailedCreate", message="exceeded quota", at="2026-01-01T11:59:50Z"):
    return {"reason": reason, "message": message, "lastTimestamp": at}


def missing(**changes):
    stateful_set = a_stateful_set(2)
    stateful_set["metadata"]["uid"] = "set"
    more = {"unavailable_since": NOW - timedelta(seconds=20), **changes}
    return with_pods(stateful_set=stateful_set, **more)


async def test_pods_that_are_missing_are_asked_about_at_their_workload_and_seldom():
    cluster, now = Told(an_event()), [NOW]
    diagnosis = PodDiagnosis(cluster, now=lambda: now[0])
    assert (await diagnosis.explained(missing(), KEY)).pods_refused == "exceeded quota"
    now[0] += timedelta(seconds=timings.DIAGNOSIS_INTERVAL_S - 1)
    assert (await diagnosis.explained(missing(), KEY)).pods_refused == "exceeded quota"
    assert cluster.asked == [("trading", "set")]
    now[0] += timedelta(seconds=1)
    cluster.events.clear()
    assert (await diagnosis.explained(missing(), KEY)).pods_refused == ""
    assert len(cluster.asked) == 2


async def test_a_trouble_that_began_before_the_status_told_of_it_is_explained():
    cluster = Told(an_event(at="2026-01-01T11:59:25Z"))
    diagnosis = PodDiagnosis(cluster, now=lambda: NOW)
    assert (await diagnosis.explained(missing(), KEY)).pods_refused == "exceeded quota"


@pytest.mark.parametrize(
    "event",
    [an_event("SuccessfulCreate"), an_event(at="2026-01-01T10:00:00Z")],
    ids=["good news", "of a trouble that is over"],
)
async def test_what_does_not_explain_it_is_not_told(event):
    diagnosis = PodDiagnosis(Told(event), now=lambda: NOW)
    assert (await diagnosis.explained(missing(), KEY)).pods_refused == ""


async def test_pods_that_are_missing_for_a_moment_while_all_is_well_are_not_asked_about():
    cluster = Told(an_event())
    observed = missing(unavailable_since=None)
    assert await PodDiagnosis(cluster, now=lambda: NOW).explained(observed, KEY) is observed
    assert cluster.asked == []
    assert look_again_after_s(observed) == timings.POD_STUCK_AFTER_S


def test_missing_pods_are_looked_at_again_and_less_often_once_it_is_known_why():
    assert look_again_after_s(missing()) == timings.POD_STUCK_AFTER_S
    assert (
        look_again_after_s(missing(pods_refused="exceeded quota")) == timings.DIAGNOSIS_INTERVAL_S
    )

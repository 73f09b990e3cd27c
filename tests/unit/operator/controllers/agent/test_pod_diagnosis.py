import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    PassOutcome,
    with_outcome,
)
from purpleflea_operator.controllers.agent.event_lists import EventLists
from purpleflea_operator.controllers.agent.pod_diagnosis import PodDiagnosis, requeue_after_s
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state
from support.simulation.clock import Clock, run

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STUCK = a_pod(ready=False, waiting="ContainerCreating")


def with_pods(*pods, **changes):
    return observed_state(agent=None, pods=pods, **changes)


def test_healthy_pods_need_no_further_look():
    assert requeue_after_s(with_pods(a_pod())) is None


def test_a_rejected_write_is_tried_again_because_no_event_reports_that_it_would_succeed():
    rejected = with_pods(a_pod(), failure="exceeded quota")
    assert requeue_after_s(rejected) == timings.REFUSED_PODS_INTERVAL_S


def test_a_stuck_pod_is_diagnosed_again_and_less_often_once_it_is_explained():
    assert requeue_after_s(with_pods(STUCK)) == timings.POD_STUCK_AFTER_S
    explained = with_pods(STUCK, pod_events=("secret not found",), failure="no")
    assert requeue_after_s(explained) == timings.DIAGNOSIS_INTERVAL_S


class Events:
    """A cluster with Events and nothing else."""

    def __init__(self, *events):
        self.events = list(events)
        self.requests = []
        self.error = self.gate = None

    async def events_with_reason(self, namespace, *, reason):
        self.requests.append((namespace, reason))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.events


def an_event(reason="FailedCreate", message="exceeded quota", at="2026-01-01T11:59:50Z", uid="set"):
    return {
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"uid": uid},
    }


def missing(**changes):
    """Return an agent whose StatefulSet requests two pods that do not exist."""
    stateful_set = a_stateful_set(2)
    stateful_set["metadata"]["uid"] = "set"
    more = {"unavailable_since": NOW - timedelta(seconds=20), **changes}
    return with_pods(stateful_set=stateful_set, **more)


@pytest.fixture
def memory():
    memories = AgentMemories(lambda: 0.0, RestartBudget(lambda key: None, clock=lambda: 0.0))
    return memories.of(NamespacedName("trading", "momentum"), "uid")


KEY = NamespacedName("trading", "momentum")


class Diagnosis:
    """A diagnosis of one agent, and the number of explanations that it reported."""

    def __init__(self, cluster, memory):
        self.now, self.memory, self.explained = NOW, memory, []
        self.diagnosis = PodDiagnosis(cluster, self.explained.append, now=lambda: self.now)

    def one_pass(self, observed):
        """Return the state at the end of a pass."""
        outcome = PassOutcome(connection=observed.connection, children=dict(observed.children))
        self.diagnosis.explain(KEY, observed, outcome, self.memory)
        return with_outcome(observed, outcome)

    async def read(self):
        """Wait for the reads that were started."""
        await asyncio.gather(
            *(task for task in asyncio.all_tasks() if task.get_name() == "pod-diagnosis")
        )


async def diagnosed(cluster, memory, observed, *, now=NOW):
    """Return the state at the end of the pass that follows the read of the Events."""
    diagnosis = Diagnosis(cluster, memory)
    diagnosis.now = now
    diagnosis.one_pass(observed)
    await diagnosis.read()
    return diagnosis.one_pass(observed)


async def test_a_pass_does_not_wait_for_the_events_and_a_later_one_has_the_explanation(memory):
    diagnosis = Diagnosis(Events(an_event()), memory)
    assert diagnosis.one_pass(missing()).pod_creation_error == ""
    await diagnosis.read()
    assert diagnosis.explained == [KEY]
    assert diagnosis.one_pass(missing()).pod_creation_error == "exceeded quota"


@pytest.mark.parametrize(
    ("error", "pause_s"),
    [
        (errors.Forbidden("no"), timings.DIAGNOSIS_INTERVAL_S),
        (errors.Unavailable("away"), timings.DIAGNOSIS_INTERVAL_S),
        (errors.Throttled("slow", 25.0), 25.0),
    ],
)
async def test_events_that_cannot_be_read_keep_the_last_explanation(memory, error, pause_s):
    cluster = Events(an_event())
    diagnosis = Diagnosis(cluster, memory)
    diagnosis.one_pass(missing())
    await diagnosis.read()
    cluster.error = error
    diagnosis.now += timedelta(seconds=timings.DIAGNOSIS_INTERVAL_S)
    for _ in range(2):
        assert diagnosis.one_pass(missing()).pod_creation_error == "exceeded quota"
        await diagnosis.read()
    assert len(cluster.requests) == 2
    diagnosis.now += timedelta(seconds=pause_s - 1)
    diagnosis.one_pass(missing())
    diagnosis.now += timedelta(seconds=1)
    diagnosis.one_pass(missing())
    await diagnosis.read()
    assert len(cluster.requests) == 3


async def test_reads_are_canceled_at_the_end(memory):
    cluster = Events()
    cluster.gate = asyncio.Event()
    diagnosis = Diagnosis(cluster, memory)
    diagnosis.one_pass(missing())
    (task,) = diagnosis.diagnosis._reads.values()
    diagnosis.diagnosis.close()
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_events_about_missing_pods_are_read_from_the_workload_at_intervals(memory):
    cluster, now = Events(an_event()), NOW
    assert (await diagnosed(cluster, memory, missing())).pod_creation_error == "exceeded quota"
    now += timedelta(seconds=timings.DIAGNOSIS_INTERVAL_S - 1)
    found = await diagnosed(cluster, memory, missing(), now=now)
    assert found.pod_creation_error == "exceeded quota"
    assert cluster.requests == [("trading", "FailedCreate")]
    now += timedelta(seconds=1)
    cluster.events.clear()
    assert (await diagnosed(cluster, memory, missing(), now=now)).pod_creation_error == ""
    assert len(cluster.requests) == 2


async def test_events_about_a_stuck_pod_explain_it(memory):
    cluster = Events(an_event("FailedMount", "secret not found", uid="uid-momentum-0"))
    found = await diagnosed(cluster, memory, with_pods(STUCK))
    assert found.pod_events == ("secret not found",)
    assert cluster.requests == [("trading", "FailedMount")]
    other = a_pod("momentum-1", ready=False, waiting="ContainerCreating")
    assert (await diagnosed(Events(), memory, with_pods(other))).pod_events == ()


async def test_an_event_shortly_before_the_problem_was_reported_explains_it(memory):
    cluster = Events(an_event(at="2026-01-01T11:59:25Z"))
    assert (await diagnosed(cluster, memory, missing())).pod_creation_error == "exceeded quota"


@pytest.mark.parametrize(
    "event",
    [
        an_event("SuccessfulCreate"),
        an_event(at="2026-01-01T10:00:00Z"),
        an_event(uid="other"),
        {"reason": "FailedCreate", "involvedObject": "set", "message": 1},
    ],
    ids=["another reason", "of an earlier problem", "about another object", "not an Event"],
)
async def test_events_that_do_not_explain_the_problem_are_ignored(memory, event):
    assert (await diagnosed(Events(event), memory, missing())).pod_creation_error == ""


async def test_no_events_are_read_if_the_status_reports_no_missing_pods(memory):
    cluster = Events(an_event())
    observed = missing(unavailable_since=None)
    assert await diagnosed(cluster, memory, observed) == observed
    assert cluster.requests == []
    assert requeue_after_s(observed) == timings.POD_STUCK_AFTER_S


async def test_an_explanation_is_dropped_when_the_pods_are_there(memory):
    cluster = Events(an_event())
    await diagnosed(cluster, memory, missing())
    assert memory.event_message is not None
    complete = replace(missing(), children={})
    assert (await diagnosed(cluster, memory, complete)).pod_creation_error == ""
    assert memory.event_message is None


def test_missing_pods_are_diagnosed_again_and_less_often_once_they_are_explained():
    assert requeue_after_s(missing()) == timings.POD_STUCK_AFTER_S
    explained = missing(pod_creation_error="exceeded quota")
    assert requeue_after_s(explained) == timings.DIAGNOSIS_INTERVAL_S


def agents(count, namespaces=1):
    """Return agents with the name of their only pod, which is in creation for long."""
    memories = AgentMemories(lambda: 0.0, RestartBudget(lambda key: None, clock=lambda: 0.0))
    for number in range(count):
        key = NamespacedName(f"trading-{number % namespaces}", f"agent-{number}")
        yield key, memories.of(key, f"uid-{number}"), f"agent-{number}-0"


async def one_round(diagnosis, fleet):
    """One pass over each agent, and the reads that it starts; return the explanations."""
    for key, memory, pod_name in fleet:
        stuck = with_pods(a_pod(pod_name, ready=False, waiting="ContainerCreating"))
        outcome = PassOutcome(connection=stuck.connection, children={})
        diagnosis.diagnosis.explain(key, stuck, outcome, memory)
    await diagnosis.read()
    return [memory.event_message.text for _, memory, _ in fleet]


async def test_a_thousand_pods_whose_images_are_pulled_cost_one_list_per_interval(memory):
    cluster, fleet = Events(), list(agents(1000))
    diagnosis = Diagnosis(cluster, memory)
    for _ in range(3):
        assert set(await one_round(diagnosis, fleet)) == {""}
        diagnosis.now += timedelta(seconds=timings.DIAGNOSIS_INTERVAL_S)
    assert cluster.requests == [("trading-0", "FailedMount")] * 3


async def test_the_shared_list_explains_each_pod_separately(memory):
    names = ["uid-agent-0-0", "uid-agent-2-0"]
    cluster = Events(*(an_event("FailedMount", f"about {uid}", uid=uid) for uid in names))
    found = await one_round(Diagnosis(cluster, memory), list(agents(3)))
    assert found == ["about uid-agent-0-0", "", "about uid-agent-2-0"]


async def test_agents_share_the_error_of_a_read_too(memory):
    cluster, fleet = Events(), list(agents(1000))
    cluster.error = errors.Throttled("slow", 25.0)
    await one_round(Diagnosis(cluster, memory), fleet)
    assert len(cluster.requests) == 1


def test_reads_of_different_namespaces_start_one_after_the_other():
    clock, starts = Clock(), []

    class Recorder(Events):
        async def events_with_reason(self, namespace, *, reason):
            starts.append(clock.now_s)
            return await super().events_with_reason(namespace, reason=reason)

    async def read_at_once():
        lists = EventLists(Recorder(), now=lambda: NOW, gap_s=0.2)
        reads = (lists.about(f"n{number}", reason="FailedMount", uid="u") for number in range(4))
        await asyncio.gather(*reads)

    run(clock, read_at_once)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == pytest.approx([0.2, 0.2, 0.2], abs=1e-4)


async def test_lists_that_are_no_longer_needed_are_forgotten():
    now = [NOW]
    lists = EventLists(Events(), now=lambda: now[0], gap_s=0)
    for number in range(10):
        await lists.about(f"n{number}", reason="FailedMount", uid="u")
        now[0] += timedelta(seconds=timings.EVENTS_AGE_S)
    assert len(lists._lists) == 1

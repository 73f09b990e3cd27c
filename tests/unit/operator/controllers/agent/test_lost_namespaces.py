"""Namespaces that the API server refuses: since when they count as lost, and who is informed."""

import asyncio
from datetime import UTC, datetime

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.lost_namespaces import NEEDED, LostNamespaces
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.resources import AGENT, DAEMON_SET, HALT, POD, STATEFUL_SET
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.kube.watch_state import WatchStates
from support.builders import an_agent
from support.observed_states import observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"namespace": "system", "name": "purpleflea-operator"},
}
AFTER_S = timings.OBJECTS_UNKNOWN_AFTER_S


class Situation:
    """Two agents in two namespaces, and all their watches."""

    def __init__(self, *namespaces):
        self.now_s = 0.0
        self.scope = WatchScope(namespaces=namespaces)
        self.states = WatchStates(clock=lambda: self.now_s, jitter=lambda: 0.5)
        for kind in (*NEEDED, DAEMON_SET, HALT):
            self.states.add(self.scope.paths(kind), self)
        cache = ObjectCache()
        for name in ("trading", "research"):
            cache.put(an_agent(namespace=name, uid=name))
        self.queued = []
        self.lost = LostNamespaces(self.scope, self.states, cache, self.queued.append)
        self.events, self.error = [], None

    def on_refused(self, path, *, status):
        self.lost.on_refused()

    def refuse(self, kind, namespace, status=403):
        state = self.state(kind, namespace)
        state.fail("forbidden", status=status, is_refusal=status in (403, 404))

    def recover(self, kind, namespace):
        self.state(kind, namespace).recover()

    def state(self, kind, namespace):
        return self.states.get(self.scope.paths_by_namespace(kind)[namespace])

    async def wait(self, seconds):
        """Let time pass, and the timer of the refusal end."""
        self.now_s += seconds
        self.lost.on_refused()
        for _ in range(4):
            await asyncio.sleep(0)

    async def create_event(self, event):
        if self.error is not None:
            raise self.error
        self.events.append((event["type"], event["reason"], event["message"]))
        assert event["involvedObject"] == {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "namespace": "system",
            "name": "purpleflea-operator",
        }


@pytest.fixture
async def bound():
    found = Situation("trading", "research")
    yield found
    found.lost.close()


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("status", [403, 404])
async def test_a_namespace_is_lost_when_a_needed_list_is_refused_for_a_minute(bound, kind, status):
    bound.refuse(kind, "trading", status)
    await bound.wait(AFTER_S - 1)
    assert bound.lost.reason("trading") == ""
    await bound.wait(1)
    text = bound.lost.reason("trading")
    assert f"refuses the list of the {kind.plural} of namespace trading (HTTP {status})" in text
    assert "helm upgrade" in text
    assert bound.lost.reason("research") == ""
    assert bound.queued == [NamespacedName("trading", "momentum")]
    bound.recover(kind, "trading")
    assert bound.lost.reason("trading") == ""
    await bound.wait(0)
    assert bound.queued == [NamespacedName("trading", "momentum")] * 2


@pytest.mark.parametrize(("kind", "status"), [(HALT, 403), (POD, 500), (POD, 429), (AGENT, 503)])
async def test_a_halt_or_a_failure_that_may_end_loses_no_namespace(bound, kind, status):
    bound.refuse(kind, "trading", status)
    await bound.wait(10 * AFTER_S)
    assert bound.lost.reason("trading") == ""
    assert bound.queued == []


async def test_several_refused_lists_count_once_and_the_text_stays(bound):
    bound.refuse(STATEFUL_SET, "trading")
    await bound.wait(AFTER_S)
    text = bound.lost.reason("trading")
    bound.refuse(AGENT, "trading")
    await bound.wait(AFTER_S)
    assert bound.lost.reason("trading") == text
    bound.recover(STATEFUL_SET, "trading")
    await bound.wait(0)
    assert bound.lost.reason("trading") == text
    assert len(bound.queued) == 1


async def test_a_list_of_the_cluster_concerns_all_agents():
    found = Situation()
    found.refuse(STATEFUL_SET, "")
    await found.wait(AFTER_S)
    found.lost.close()
    assert "statefulsets of the cluster" in found.lost.reason("trading")
    assert sorted(key.namespace for key in found.queued) == ["research", "trading"]


async def run_events(situation, *, lease=LEASE):
    task = asyncio.create_task(situation.lost.post_events(situation, lease, lambda: NOW))
    await asyncio.sleep(0)
    return task


async def test_a_leader_posts_an_event_about_its_lease_once_per_change(bound):
    bound.refuse(AGENT, "trading")
    await bound.wait(AFTER_S)
    task = await run_events(bound)
    assert [item[:2] for item in bound.events] == [("Warning", "NamespaceNotWatched")]
    assert "namespace trading" in bound.events[0][2]
    await bound.wait(AFTER_S)
    assert len(bound.events) == 1
    bound.recover(AGENT, "trading")
    await bound.wait(0)
    assert [item[:2] for item in bound.events][1:] == [("Normal", "NamespaceWatched")]
    task.cancel()


@pytest.mark.parametrize("error", [errors.Forbidden("no"), errors.Unavailable("down"), None])
async def test_an_event_that_cannot_be_posted_ends_nothing(bound, error):
    bound.error = error
    task = await run_events(bound, lease=None if error is None else LEASE)
    bound.refuse(AGENT, "trading")
    await bound.wait(AFTER_S)
    assert not task.done()
    assert bound.events == []
    task.cancel()


async def test_a_replica_that_must_not_write_ends(bound):
    bound.error = errors.Fenced("another replica leads")
    task = await run_events(bound)
    bound.refuse(AGENT, "trading")
    await bound.wait(AFTER_S)
    with pytest.raises(errors.Fenced):
        await task


def test_the_condition_of_a_lost_namespace_precedes_other_problems():
    text = "the API server refuses the list of the pods"
    found = {
        item.type: item for item in summary.findings(observed_state(unwatched=text, failure="x"))
    }
    for kind in ("Ready", "WorkloadAvailable"):
        assert (found[kind].reason, found[kind].message) == ("NotWatched", text)
    assert found["WorkloadAvailable"].status == "Unknown"

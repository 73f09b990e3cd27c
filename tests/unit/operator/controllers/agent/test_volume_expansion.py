"""Expansion of volume claims: how often it is tried, and what is remembered."""

from datetime import UTC, datetime

import pytest

from purpleflea_operator.controllers.agent.agent_memory import AgentMemories
from purpleflea_operator.controllers.agent.decisions import remembered
from purpleflea_operator.controllers.agent.decisions.plan import ExpandVolume
from purpleflea_operator.controllers.agent.decisions.storage import claim
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.observed_states import agent_value

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    def pass_by(self, seconds):
        self.now_s += seconds


class Volumes:
    """A cluster that expands volumes, unless a rejection is set."""

    def __init__(self):
        self.requests = []
        self.rejection = None
        self.stored = ""

    async def expand_volume(self, ref, size):
        self.requests.append((ref.name, size))
        if self.rejection:
            raise self.rejection
        metadata = {"name": ref.name, "uid": "c", "resourceVersion": "2", "namespace": "trading"}
        spec = {"resources": {"requests": {"storage": self.stored or size}}}
        return {"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def a_claim(name):
    return claim({"metadata": {"name": name, "uid": name}})


def an_expansion(name):
    return ExpandVolume(claim=a_claim(name), size="2Gi")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster():
    return Volumes()


@pytest.fixture
def expansion(cluster, clock):
    return VolumeExpansion(cluster, ObjectCache(), clock=clock)


@pytest.fixture
def memory():
    memories = AgentMemories(lambda: 0.0, RestartBudget(lambda key: None, clock=lambda: 0.0))
    return memories.of(NamespacedName("trading", "momentum"), "uid")


def error(memory, clock, size="2Gi"):
    """Return the error that a pass observes while the spec requests `size`."""
    agent, claims = agent_value(storage={"size": size}), [a_claim("a")]
    return remembered.expansion_error(memory.snapshot(NOW, clock()).expansion, agent, claims)


async def test_a_rejection_is_tried_again_with_a_growing_delay(cluster, expansion, memory, clock):
    cluster.rejection, waits = errors.Forbidden("no"), []
    for _ in range(12):
        for name in ("a", "b", "c"):
            assert await expansion.expand(an_expansion(name), "trading", memory) == "no"
        assert error(memory, clock) == "no"
        waits.append(expansion.requeue_after_s(memory))
        clock.pass_by(waits[-1])
        assert error(memory, clock) == ""
        assert expansion.requeue_after_s(memory) == 0.0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


async def test_another_size_is_tried_without_the_delay_of_the_rejected_one(
    cluster, expansion, memory, clock
):
    cluster.rejection = errors.Forbidden("no")
    for _ in range(5):
        await expansion.expand(an_expansion("a"), "trading", memory)
        clock.pass_by(600)
    await expansion.expand(ExpandVolume(claim=a_claim("a"), size="3Gi"), "trading", memory)
    assert expansion.requeue_after_s(memory) == 1.0


async def test_a_rejection_of_another_size_does_not_apply(cluster, expansion, memory, clock):
    cluster.rejection = errors.Invalid("no")
    await expansion.expand(an_expansion("a"), "trading", memory)
    assert error(memory, clock, "3Gi") == ""
    claims = [a_claim("a")]
    for other in (agent_value(storage={"size": "3Gi"}), agent_value(), None):
        assert not remembered.applies(memory.expansion, other, claims)


async def test_a_rejection_ends_when_the_claim_that_could_not_grow_is_deleted(
    cluster, expansion, memory
):
    cluster.rejection = errors.Invalid("no")
    await expansion.expand(an_expansion("a"), "trading", memory)
    agent = agent_value(storage={"size": "2Gi"})
    assert remembered.applies(memory.expansion, agent, [a_claim("a")])
    assert not remembered.applies(memory.expansion, agent, [])


async def test_a_deleted_claim_is_skipped(cluster, expansion, memory):
    cluster.rejection = errors.NotFound("gone")
    assert await expansion.expand(an_expansion("a"), "trading", memory) == ""


async def test_a_size_that_a_webhook_changes_is_remembered_as_a_rejection(
    cluster, expansion, memory, clock
):
    cluster.stored = "1Gi"
    text = await expansion.expand(an_expansion("a"), "trading", memory)
    assert text == "the API server stores 1Gi, so a webhook changes the size"
    assert error(memory, clock) == text


async def test_an_expansion_that_is_stored_is_no_rejection(cluster, expansion, memory):
    assert await expansion.expand(an_expansion("a"), "trading", memory) == ""
    assert memory.expansion is None

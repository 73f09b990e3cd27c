"""The memory of the operator about agents: it ends with the agent."""

import asyncio
from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Control, Mode
from purpleflea_operator.controllers.agent.agent_memory import (
    AgentMemories,
    EventMessage,
    ModeRequests,
)
from purpleflea_operator.controllers.agent.decisions.remembered import ExpansionRejection
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.kube.object_cache import NamespacedName

KEY, OTHER = NamespacedName("trading", "momentum"), NamespacedName("trading", "other")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def notified():
    return []


@pytest.fixture
def restarts(notified):
    return RestartBudget(notified.append, clock=lambda: 0.0)


@pytest.fixture
def memories(restarts):
    return AgentMemories(lambda: 0.0, restarts)


def fill(memory):
    """Set every part of a memory, and return its request."""
    memory.status_writes.record_write()
    memory.status_writes.record_write()
    memory.replicas_debounce.remaining_s(waits=True)
    memory.progress_debounce.remaining_s(waits=True)
    memory.event_message = EventMessage(uid="pod", text="secret not found", read_at=NOW)
    memory.expansion = ExpansionRejection(size="2Gi", text="no", attempts=1, due_s=1e9)
    memory.troubled_conditions.add("WorkloadAvailable")
    memory.transient_failures["StatefulSet momentum"] = 2
    memory.mode_requests = ModeRequests(control=Control(mode=Mode.HALTED), delivered_s=5.0)
    task = asyncio.get_running_loop().create_task(asyncio.sleep(3600))
    memory.mode_requests.in_flight["pod"] = task
    return task


def keys(item, seen):
    """Yield every NamespacedName that is reachable from an object."""
    if id(item) in seen:
        return
    seen.add(id(item))
    if isinstance(item, NamespacedName):
        yield item
    elif isinstance(item, dict):
        for pair in item.items():
            yield from keys(pair, seen)
    elif isinstance(item, list | tuple | set | frozenset):
        for member in item:
            yield from keys(member, seen)
    elif hasattr(item, "__dict__") or hasattr(type(item), "__slots__"):
        names = [*getattr(item, "__dict__", ()), *getattr(type(item), "__slots__", ())]
        for name in names:
            yield from keys(getattr(item, name, None), seen)


def reachable(*roots):
    seen = set()
    return {key for root in roots for key in keys(root, seen)}


def is_empty(memory):
    return (
        memory.status_writes.since_write_s() == float("inf")
        and memory.status_writes.wait_s() == 0.0
        and memory.replicas_debounce.remaining_s(waits=False) == 0.0
        and memory.mode_requests is None
        and memory.event_message is None
        and memory.expansion is None
        and not memory.troubled_conditions
        and not memory.transient_failures
    )


async def test_forgetting_an_agent_leaves_its_key_nowhere(memories, restarts):
    task = fill(memories.of(KEY, "uid"))
    assert restarts.try_acquire(KEY)
    assert reachable(memories, restarts) == {KEY}
    memories.forget(KEY)
    assert reachable(memories, restarts) == set()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_forgetting_an_agent_gives_its_restart_slot_to_the_next(memories, restarts, notified):
    assert restarts.try_acquire(KEY)
    assert not restarts.try_acquire(OTHER)
    memories.forget(KEY)
    assert notified == [OTHER]
    assert restarts.try_acquire(OTHER)


async def test_the_memory_of_an_agent_is_kept_between_passes(memories):
    memory = memories.of(KEY, "uid")
    assert memories.of(KEY, "uid") is memory
    assert KEY in memories


async def test_an_agent_that_is_recreated_under_its_name_starts_with_an_empty_memory(memories):
    task = fill(memories.of(KEY, "uid"))
    recreated = memories.of(KEY, "another uid")
    assert is_empty(recreated)
    assert recreated.snapshot(NOW, 0.0).delivered_at is None
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_forgetting_one_agent_keeps_the_memory_of_others(memories):
    other = memories.of(OTHER, "other uid")
    memories.of(KEY, "uid")
    memories.forget(KEY)
    assert memories.of(OTHER, "other uid") is other
    assert KEY not in memories


async def test_closing_cancels_the_requests_of_all_agents(memories):
    memories.of(OTHER, "other uid")
    task = fill(memories.of(KEY, "uid"))
    memories.close()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert reachable(memories) == set()

"""Concurrent restarts after a change of the Datadog installation."""

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.connection_choice import SlotUse
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.kube.object_cache import NamespacedName

FLEET = [NamespacedName("trading", f"agent-{number:03}") for number in range(100)]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def notified():
    return []


@pytest.fixture
def budget(clock, notified):
    return RestartBudget(notified.append, clock=clock)


def acquired(budget, keys):
    return [key for key in keys if budget.try_acquire(key)]


def test_of_a_few_agents_one_restarts_at_a_time(budget, notified):
    assert acquired(budget, FLEET[:10]) == FLEET[:1]
    assert acquired(budget, FLEET[:10]) == FLEET[:1]
    budget.stop_waiting(FLEET[0])
    assert notified == []
    budget.release(FLEET[0])
    assert notified == [FLEET[1]]
    assert acquired(budget, FLEET[1:10]) == FLEET[1:2]


def test_of_many_agents_five_percent_restart_at_a_time_until_the_last(budget):
    restarted, at_once = [], []
    while len(restarted) < len(FLEET):
        running = acquired(budget, [key for key in FLEET if key not in restarted])
        at_once.append(len(running))
        for key in running:
            budget.release(key)
        restarted += running
    assert sorted(restarted) == FLEET
    assert max(at_once) == 5
    assert len(at_once) == 20
    assert acquired(budget, FLEET[:2]) == FLEET[:1]


def test_an_agent_that_does_not_become_ready_loses_its_slot_after_the_timeout(
    budget, clock, notified
):
    acquired(budget, FLEET[:3])
    budget.notify_waiters()
    assert notified == []
    clock.now += timings.RESTART_SLOT_TIMEOUT_S
    budget.notify_waiters()
    assert notified == [FLEET[1]]
    assert acquired(budget, FLEET[:3]) == FLEET[:2]


def test_a_deleted_agent_is_not_notified(budget, notified):
    acquired(budget, FLEET[:3])
    budget.release(FLEET[1])
    budget.release(FLEET[0])
    assert notified == [FLEET[2]]


@pytest.mark.parametrize("use", [SlotUse.NONE, SlotUse.HOLD, SlotUse.RELEASE])
def test_an_agent_that_needs_no_slot_any_more_does_not_block_the_queue(budget, notified, use):
    first, second, third = FLEET[:3]
    assert [budget.update(key, SlotUse.ACQUIRE) for key in (first, second, third)] == [
        True,
        False,
        False,
    ]
    assert budget.update(second, use)
    budget.update(first, SlotUse.RELEASE)
    assert notified == [third]


def test_an_agent_that_keeps_its_slot_still_counts(budget):
    first, second = FLEET[:2]
    assert budget.update(first, SlotUse.ACQUIRE)
    assert budget.update(first, SlotUse.HOLD)
    assert not budget.update(second, SlotUse.ACQUIRE)

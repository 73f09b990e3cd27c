"""Concurrent restarts that no user has requested."""

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


def test_each_env_has_its_own_budget(budget):
    first, second, third = FLEET[:3]
    assert budget.try_acquire(first, env="live")
    assert budget.try_acquire(second, env="paper")
    assert not budget.try_acquire(third, env="paper")


def test_an_agent_that_moves_to_another_env_leaves_its_slot(budget, notified):
    first, second = FLEET[:2]
    assert budget.try_acquire(first, env="paper")
    assert not budget.try_acquire(second, env="paper")
    assert budget.try_acquire(first, env="live")
    assert notified == [second]
    assert budget.try_acquire(second, env="paper")


@pytest.mark.parametrize(("percent", "number"), [(1, 1), (5, 5), (50, 50), (100, 100)])
def test_the_percentage_is_configurable(clock, percent, number):
    budget = RestartBudget(lambda key: None, clock=clock, percent=percent)
    acquired(budget, FLEET)
    assert len(acquired(budget, FLEET)) == number


def test_a_failing_upgrade_stops_the_others_until_it_is_ready_again(budget, clock, notified):
    first, second, third = FLEET[:3]
    assert budget.try_acquire(first, env="live")
    assert not budget.try_acquire(second, env="live")
    budget.hold(first, env="live", is_failing=True)
    clock.now += timings.RESTART_SLOT_TIMEOUT_S
    budget.notify_waiters()
    assert notified == []
    assert not budget.try_acquire(third, env="live")
    assert budget.try_acquire(third, env="paper")
    assert budget.failing() == {"live": 1}
    budget.hold(first, env="live", is_failing=False)
    assert (budget.failing(), notified) == ({}, [])
    budget.update(first, SlotUse.RELEASE)
    assert notified == [second]


def test_one_of_several_upgrades_that_fails_stops_all_others(clock, notified):
    budget = RestartBudget(notified.append, clock=clock, percent=50)
    acquired(budget, FLEET[:6])
    started = acquired(budget, FLEET[:6])
    assert len(started) == 3
    budget.hold(started[0], env="", is_failing=True)
    budget.release(started[1])
    assert notified == []
    budget.hold(started[0], env="")
    assert len(notified) == 1


def test_an_upgrade_in_progress_has_its_slot_after_a_change_of_the_leader(budget):
    budget.hold(FLEET[0], env="live")
    assert not budget.try_acquire(FLEET[1], env="live")
    budget.forget(FLEET[0])
    assert budget.try_acquire(FLEET[1], env="live")


def test_pending_upgrades_are_counted_by_env(budget):
    for key, env in zip(FLEET[:3], ("live", "live", "paper"), strict=True):
        budget.set_pending(key, env, is_pending=True)
    assert budget.pending() == {"live": 2, "paper": 1}
    budget.set_pending(FLEET[0], "live", is_pending=False)
    budget.set_pending(FLEET[0], "live", is_pending=False)
    budget.forget(FLEET[2])
    assert budget.pending() == {"live": 1}


def test_a_budget_that_is_not_used_needs_no_memory(budget):
    for key in FLEET[:10]:
        budget.update(key, SlotUse.ACQUIRE, env=key.name)
        budget.update(key, SlotUse.HOLD, env=key.name)
        budget.update(key, SlotUse.RELEASE, env=key.name)
    assert (budget._groups, budget._env_of) == ({}, {})

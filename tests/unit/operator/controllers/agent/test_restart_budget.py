"""How many agents restart at once because the installation changed."""

import pytest

from purpleflea_operator import timings
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


def test_of_many_agents_a_twentieth_restarts_at_a_time_to_the_last(budget):
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


def test_who_does_not_come_back_holds_up_the_others_for_a_while_only(budget, clock, notified):
    acquired(budget, FLEET[:3])
    budget.notify_waiters()
    assert notified == []
    clock.now += timings.RESTART_SLOT_TIMEOUT_S
    budget.notify_waiters()
    assert notified == [FLEET[1]]
    assert acquired(budget, FLEET[:3]) == FLEET[:2]


def test_who_is_gone_or_need_not_change_any_more_is_not_called(budget, notified):
    acquired(budget, FLEET[:3])
    budget.release(FLEET[1])
    budget.release(FLEET[0])
    assert notified == [FLEET[2]]

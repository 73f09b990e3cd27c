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
def called():
    return []


@pytest.fixture
def turns(clock, called):
    found = RestartBudget(clock=clock)
    found.concern = called.append
    return found


def takers(turns, keys):
    return [key for key in keys if turns.take(key)]


def test_of_a_few_agents_one_restarts_at_a_time(turns, called):
    assert takers(turns, FLEET[:10]) == FLEET[:1]
    assert takers(turns, FLEET[:10]) == FLEET[:1]
    turns.leave(FLEET[0], restarts=True)
    assert called == []
    turns.leave(FLEET[0])
    assert called == [FLEET[1]]
    assert takers(turns, FLEET[1:10]) == FLEET[1:2]


def test_of_many_agents_a_twentieth_restarts_at_a_time_to_the_last(turns):
    restarted, at_once = [], []
    while len(restarted) < len(FLEET):
        running = takers(turns, [key for key in FLEET if key not in restarted])
        at_once.append(len(running))
        for key in running:
            turns.leave(key)
        restarted += running
    assert sorted(restarted) == FLEET
    assert max(at_once) == 5
    assert len(at_once) == 20
    assert takers(turns, FLEET[:2]) == FLEET[:1]


def test_who_does_not_come_back_holds_up_the_others_for_a_while_only(turns, clock, called):
    takers(turns, FLEET[:3])
    turns.call()
    assert called == []
    clock.now += timings.RESTART_SLOT_TIMEOUT_S
    turns.call()
    assert called == [FLEET[1]]
    assert takers(turns, FLEET[:3]) == FLEET[:2]


def test_who_is_gone_or_need_not_change_any_more_is_not_called(turns, called):
    takers(turns, FLEET[:3])
    turns.leave(FLEET[1])
    turns.leave(FLEET[0])
    assert called == [FLEET[2]]

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
    budget.end_pass(FLEET[0], is_requested=False)
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


ENDS = {
    "all pods are ready": lambda budget, key: budget.release(key),
    "deleted": lambda budget, key: budget.forget(key),
    "another env": lambda budget, key: budget.try_acquire(key, env="live"),
    "its write failed": lambda budget, key: budget.give_back(key),
}
ENDS_OF_WAITING = {
    "invalid, stopped, without pods, or as desired": lambda budget, key: budget.end_pass(
        key, is_requested=False
    ),
    "deleted": lambda budget, key: budget.forget(key),
    "another env": lambda budget, key: budget.try_acquire(key, env="live"),
    "upgraded by a user": lambda budget, key: budget.hold(key, env="live"),
}


def in_progress(budget, key):
    budget.hold(key, env="")


def failing(budget, key):
    budget.hold(key, env="", is_failing=True)


def restored(budget, key):
    budget.restore(key, env="", is_failing=False)


@pytest.mark.parametrize("use", [None, in_progress, failing, restored])
@pytest.mark.parametrize("end", ENDS)
def test_after_any_end_of_a_holder_the_next_agent_is_notified_once(budget, notified, end, use):
    first, second, third = FLEET[:3]
    assert acquired(budget, (first, second, third)) == [first]
    if use:
        use(budget, first)
    ENDS[end](budget, first)
    assert notified == [second]
    budget.end_pass(first, is_requested=False)
    budget.end_pass(third, is_requested=True)
    assert notified == [second]
    assert acquired(budget, (second, third)) == [second]


@pytest.mark.parametrize("end", ENDS_OF_WAITING)
@pytest.mark.parametrize("is_notified", [False, True])
def test_after_any_end_of_a_waiting_agent_the_next_one_is_notified_once(
    budget, notified, end, is_notified
):
    first, second, third, fourth = FLEET[:4]
    acquired(budget, (first, second, third, fourth))
    if is_notified:
        budget.release(first)
        assert notified == [second]
    ENDS_OF_WAITING[end](budget, second)
    if not is_notified:
        assert notified == []
        budget.release(first)
        assert notified == [third]
    assert notified[-1] is third
    assert acquired(budget, (third, fourth)) == [third]
    budget.release(third)
    assert notified == ([second, third, fourth] if is_notified else [third, fourth])


def test_an_agent_that_is_notified_and_has_to_wait_again_is_notified_again(budget, notified):
    first, second, third = FLEET[:3]
    acquired(budget, (first, second))
    budget.release(first)
    assert acquired(budget, (third, second)) == [third]
    budget.release(third)
    assert notified == [second, second]


def test_a_notified_agent_is_notified_again_with_the_others_after_a_timeout(budget, notified):
    first, second, _ = FLEET[:3]
    acquired(budget, FLEET[:3])
    budget.release(first)
    budget.notify_waiters()
    assert notified == [second, second]


def test_an_agent_whose_write_fails_waits_for_all_others_and_for_a_growing_time(
    budget, clock, notified
):
    rejected, *others = FLEET[:4]
    acquired(budget, FLEET[:4])
    budget.give_back(rejected)
    assert budget.retry_after_s(rejected) == 1.0
    clock.now += 1.0
    for agent in others:
        # It does not get the slot back, although it asks first and the slot is free.
        assert acquired(budget, (rejected, agent)) == [agent]
        assert budget.retry_after_s(rejected) is None
        budget.release(agent)
    assert notified == [*others, rejected]
    for delay_s in (2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        assert budget.try_acquire(rejected)
        budget.give_back(rejected)
        assert budget.retry_after_s(rejected) == delay_s
        clock.now += delay_s - 0.5
        assert not budget.try_acquire(rejected)
        clock.now += 0.5
    assert budget.try_acquire(rejected)
    budget.release(rejected)
    assert acquired(budget, [rejected]) == [rejected]
    budget.give_back(rejected)
    assert budget.retry_after_s(rejected) == 1.0


def test_agents_whose_writes_all_fail_take_turns(budget, clock):
    attempts = []
    for _ in range(12):
        for agent in FLEET[:4]:
            if budget.try_acquire(agent):
                attempts.append(agent)
                budget.give_back(agent)
        clock.now += timings.REJECTED_RETRY_LIMIT_S
    assert [attempts.count(agent) for agent in FLEET[:4]] == [12, 12, 12, 12]


def test_a_failed_write_does_not_change_the_failure_of_an_upgrade(budget, notified):
    first, second = FLEET[:2]
    budget.hold(first, env="", is_failing=True)
    assert not budget.try_acquire(second)
    assert not budget.try_acquire(FLEET[2])
    budget.end_pass(second, is_requested=True)
    assert notified == []


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
    budget.update(first, SlotUse.RELEASE)
    assert budget.failing() == {}
    assert notified == [second]


def test_one_of_several_upgrades_that_fails_stops_all_others(clock, notified):
    budget = RestartBudget(notified.append, clock=clock, percent=50)
    acquired(budget, FLEET[:6])
    started = acquired(budget, FLEET[:6])
    assert len(started) == 3
    budget.hold(started[0], env="", is_failing=True)
    budget.release(started[1])
    # A pod that is replaced, or added by a larger number of replicas, does not fail yet.
    budget.hold(started[0], env="")
    assert notified == []
    budget.release(started[0])
    assert len(notified) == 2


def test_a_changed_template_of_a_user_ends_a_failing_upgrade(budget, notified):
    first, second = FLEET[:2]
    assert acquired(budget, FLEET[:2]) == [first]
    budget.hold(first, env="", is_failing=True)
    budget.end_pass(first, is_requested=False)
    assert notified == [second]


def test_another_connection_after_an_upgrade_has_its_own_slot(budget, clock, notified):
    first, second = FLEET[:2]
    budget.hold(first, env="", is_failing=True)
    assert budget.try_acquire(first)
    assert not budget.try_acquire(second)
    budget.end_pass(first, is_requested=True)
    assert not budget.try_acquire(second)
    clock.now += timings.RESTART_SLOT_TIMEOUT_S
    assert budget.try_acquire(second)


@pytest.mark.parametrize("is_failing", [False, True])
def test_after_a_change_of_the_leader_no_agent_restarts_before_the_upgrades_are_checked(
    clock, notified, is_failing
):
    budget = RestartBudget(notified.append, clock=clock, percent=100)
    first, second, third = FLEET[:3]
    budget.restore(first, env="live", is_failing=is_failing)
    budget.restore(second, env="live", is_failing=False)
    assert not budget.try_acquire(third, env="live")
    budget.hold(first, env="live")
    assert notified == []
    budget.hold(second, env="live")
    assert notified == ([] if is_failing else [third])
    budget.forget(first)
    assert notified == [third]
    assert budget.try_acquire(third, env="live")


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
        budget.end_pass(key, is_requested=False)
    for key in FLEET[:10]:
        budget.try_acquire(key)
    budget.give_back(FLEET[0])
    for key in FLEET[:10]:
        budget.end_pass(key, is_requested=False)
    assert (budget._groups, budget._env_of) == ({}, {})


def test_a_write_can_fail_after_its_agent_was_deleted(budget):
    budget.try_acquire(FLEET[0], env="live")
    budget.forget(FLEET[0])
    budget.give_back(FLEET[0])
    assert (budget._groups, budget._env_of) == ({}, {})

"""Upgrades of a fleet while writes fail, agents fail, users change specs and the leader changes, in virtual time."""

from datetime import timedelta

import pytest

from support.simulation.matrix import upgrades
from support.simulation.upgrades import FIRST, FLEET


@pytest.mark.parametrize("status", [403, 422, 429, 500])
def test_an_agent_whose_statefulset_is_rejected_does_not_delay_the_others(status):
    found = upgrades.simulated(upgrades.rejected(status))
    assert found.upgraded == set(FLEET)
    assert found.at_once == 1
    assert found.settled_s < 30
    assert {found.attempts[name] for name in FLEET[1:]} == {1}
    # It is tried again with a growing delay, and the status is written only when the result changes.
    assert found.attempts[FIRST] <= 15
    assert found.progress[:2] == ["ApplyFailed", "OperatorUpgrade"]
    assert found.statuses[FIRST] <= 3


def test_a_changed_template_of_a_failing_agent_ends_its_upgrade():
    found = upgrades.simulated(upgrades.fixed_by_a_user)
    assert found.upgraded == set(FLEET)
    assert found.settled_s < 30


@pytest.mark.parametrize(
    ("play", "operators"),
    [(upgrades.unrelated_changes, 1), (upgrades.scaled_around_a_leader_change, 2)],
)
def test_an_agent_that_fails_stops_the_others_whatever_else_changes(play, operators):
    found = upgrades.simulated(play, operators=operators)
    assert len(found.upgraded) == 1
    assert "CrashLooping" in found.progress


def test_agents_that_stop_waiting_do_not_delay_the_others():
    found = upgrades.simulated(upgrades.invalid_while_waiting)
    assert found.at_once == 1
    assert found.settled_s < 20


def test_a_bad_template_replaces_one_pod_even_if_all_pods_are_young():
    found = upgrades.simulated(upgrades.changed_while_young(is_good=False), replicas=3)
    assert (found.running, found.unready) == (1, 1)
    assert found.attempts[FIRST] == 1


def test_a_good_template_costs_one_write_more_for_an_agent_with_several_pods():
    found = upgrades.simulated(upgrades.changed_while_young(is_good=True), replicas=3)
    assert (found.running, found.unready) == (3, 1)
    assert found.attempts[FIRST] == 2


@pytest.mark.parametrize("hours", [0, 1, -1])
@pytest.mark.parametrize(("min_ready_s", "seconds"), [(10, 5), (30, 20), (75, 65)])
def test_a_pod_that_fails_within_min_ready_seconds_stops_the_rollout_whatever_the_clock_shows(
    hours, min_ready_s, seconds
):
    play = upgrades.fails_after_ready(seconds, min_ready_s=min_ready_s, step=timedelta(hours=hours))
    assert upgrades.simulated(play, replicas=3).running == 1

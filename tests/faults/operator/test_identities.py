"""An identity that moves to another namespace never has two pods, although the old ones need time to end."""

import pytest

from support.simulation.matrix import identities


@pytest.mark.parametrize("name", identities.MOVES)
def test_an_identity_is_held_until_its_last_pod_is_gone(name):
    found = identities.moved(name)
    assert found.overlaps == []
    assert found.reasons == ["NotStarted", "Unique"]
    # The new agent starts when the last pod has ended, without a delay.
    assert found.gap_s < 0.5


@pytest.mark.parametrize("name", identities.UNSEEN_CHANGES)
def test_no_agent_starts_beside_pods_that_the_watch_does_not_report(name):
    assert identities.moved_with_unseen_pods(name).overlaps == []


def test_no_agent_starts_beside_a_pod_that_lost_its_labels():
    found = identities.moved_with_hidden_pods()
    assert found.overlaps == []
    assert found.gap_s < 61


@pytest.mark.parametrize("name", identities.TAKES)
def test_a_running_agent_does_not_take_the_identity_of_pods_that_have_not_ended(name):
    found, env = identities.taken_while_running(name)
    assert found.overlaps == []
    assert env == ("production" if identities.TAKES[name][1] else "staging")


@pytest.mark.parametrize("runs", [True, False], ids=["ran", "waited"])
@pytest.mark.parametrize("gap", identities.GAPS)
def test_an_agent_that_ran_unseen_keeps_its_identity(gap, runs):
    assert identities.ran_unseen(gap, runs=runs) is not runs


@pytest.mark.parametrize("name", identities.HELD_WRITES)
def test_no_agent_starts_while_a_held_write_can_create_pods_with_its_identity(name):
    assert identities.moved_with_held_write(name).overlaps == []

"""An identity that moves to another namespace never has two pods, although the old ones need time to end."""

import pytest

from support.simulation.matrix import MOVES, UNSEEN_CHANGES, moved, moved_with_unseen_pods


@pytest.mark.parametrize("name", MOVES)
def test_an_identity_is_held_until_its_last_pod_is_gone(name):
    found = moved(name)
    assert found.overlaps == []
    assert found.reasons == ["NotStarted", "Unique"]
    # The new agent starts when the last pod has ended, without a delay.
    assert found.gap_s < 0.5


@pytest.mark.parametrize("name", UNSEEN_CHANGES)
def test_no_agent_starts_beside_pods_that_the_watch_does_not_report(name):
    assert moved_with_unseen_pods(name).overlaps == []

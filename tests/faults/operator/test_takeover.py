"""A write of a former leader that an admission webhook holds past the takeover must not undo a newer decision."""

import pytest

from support.simulation.matrix import TAKEOVERS, values_after_release


@pytest.mark.parametrize("is_terminated", [False, True], ids=["partition", "SIGTERM"])
@pytest.mark.parametrize("name", TAKEOVERS)
def test_a_held_write_of_a_former_leader_changes_nothing(name, is_terminated):
    values, wanted, starts = values_after_release(name, is_terminated=is_terminated)
    assert values
    assert all(value == wanted for value in values)
    assert starts == {}

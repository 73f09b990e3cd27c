"""etcd is restored from a backup while the operator runs: versions go back, and later changes never happened."""

import pytest

from support.simulation.matrix import halt_after_restore


@pytest.mark.parametrize("has_lease_in_backup", [True, False], ids=["with lease", "without lease"])
def test_a_leader_restarts_after_a_restore_and_serves_a_halt(has_lease_in_backup):
    found = halt_after_restore(has_lease_in_backup=has_lease_in_backup)
    assert (found.replicas, found.mode) == (2, "Halted")
    assert found.halt_s < 30
    (end,) = found.ends
    assert "as after a restore of etcd" in end

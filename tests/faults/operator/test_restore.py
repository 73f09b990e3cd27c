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


@pytest.mark.parametrize("has_lease_in_backup", [True, False], ids=["with lease", "without lease"])
def test_a_standby_restarts_after_a_restore_too_because_its_caches_are_newer(has_lease_in_backup):
    found = halt_after_restore(has_lease_in_backup=has_lease_in_backup, replicas=2)
    assert (found.replicas, found.mode) == (2, "Halted")
    assert found.halt_s < 45
    assert len(found.ends) == 2
    assert all("as after a restore of etcd" in end for end in found.ends)

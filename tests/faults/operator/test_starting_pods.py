"""A halt is not reported as complete while a pod can start with a control file that it mounted before."""

import pytest

from support.simulation.matrix import mounts, unseen

FIRST, *OTHERS = mounts.SCENARIOS
CASES = [*((FIRST, halt) for halt in unseen.HALTS), *((name, "PurpleFleaHalt") for name in OTHERS)]


@pytest.mark.parametrize(("scenario", "halt"), CASES)
def test_a_halt_waits_for_pods_that_have_mounted_an_earlier_control_file(scenario, halt):
    found = mounts.halted(scenario, halt)
    assert found.untrue == []
    # A stop deletes the pods.
    assert found.was_reported_early is (halt == "Stopped")
    assert ("may start with an earlier control file" in found.open) is (halt != "Stopped")
    assert (found.is_proven, found.trading, found.writes_afterwards) == (True, 0, 0)

"""A halt is not reported as complete while a pod trades that a silent watch has not reported."""

import pytest

from support.simulation.matrix import unseen

FIRST, *OTHERS = unseen.SCENARIOS
CASES = [*((FIRST, halt) for halt in unseen.HALTS), *((name, "PurpleFleaHalt") for name in OTHERS)]
MOST_S = 3.0
"""A pod is read 0.5 s after the mode is written, and again after 2 s if it lost its labels."""
UNKNOWN = ("a pod is replaced, and all kinds are silent",)
"""The halt itself is not reported before its watch is opened again."""
MOST_READS = 6
"""One for each pod that the cache does not show to run, and one more for each that is replaced meanwhile."""


@pytest.mark.parametrize(("scenario", "halt"), CASES)
def test_a_halt_is_complete_when_each_pod_has_acknowledged_it(scenario, halt):
    found = unseen.halted(scenario, halt)
    assert found.untrue == []
    assert found.halted_s < (unseen.SILENT_S + 35 if scenario in UNKNOWN else MOST_S)
    assert (found.is_halted, found.is_proven) == (True, True)
    assert found.reads <= MOST_READS
    assert found.writes_afterwards == 0


def test_a_stronger_mode_does_not_wait_for_a_read_that_hangs():
    assert unseen.stop_during_a_hanging_read() < 1.0


@pytest.mark.parametrize(("status", "most"), [(0, 40), (403, 40 * 3)])
def test_pods_that_do_not_exist_are_read_once_per_halt(status, most):
    """A read that is not permitted is repeated twice a minute."""
    assert unseen.reads_of_missing_pods(status=status, seconds=60) <= most

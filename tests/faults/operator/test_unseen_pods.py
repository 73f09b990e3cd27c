"""A halt is not reported as complete while a pod trades that a silent watch has not reported."""

import pytest

from support.simulation.matrix import unseen

FIRST, *OTHERS = unseen.SCENARIOS
CASES = [*((FIRST, halt) for halt in unseen.HALTS), *((name, "PurpleFleaHalt") for name in OTHERS)]
MOST_READS = 6
"""One for each pod that the cache does not show to run, and one more for each that is replaced meanwhile."""


@pytest.mark.parametrize(("scenario", "halt"), CASES)
def test_a_halt_is_complete_when_each_pod_has_acknowledged_it(scenario, halt):
    found = unseen.halted(scenario, halt)
    assert found.untrue == []
    assert (found.is_halted, found.is_proven) == (True, True)
    assert found.reads <= MOST_READS
    assert found.writes_afterwards == 0

"""Each operation of a user under each fault of watches, writes, clocks and leaders, in virtual time.

A cell fails unless: all objects are the same as after a run without the fault; no identity has two pods at any moment,
and no pod is started more often; a halt of another agent is served within its limit and never taken back; requests
are bounded, and an idle operator writes nothing; and the fault had an effect on the operation.
"""

import os

import pytest

from support.simulation.hazards import HAZARDS
from support.simulation.matrix import all_cells, short_selection
from support.simulation.operations import OPERATIONS

SEED = int(os.environ.get("PURPLEFLEA_FAULTS_SEED", "1"))
CELLS = all_cells(SEED) if os.environ.get("PURPLEFLEA_FAULTS") == "full" else short_selection(SEED)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_an_operation_under_a_fault_ends_as_without_it(cell, measurements_of):
    measured = measurements_of(cell)
    assert not measured["problems"], "\n".join(measured["problems"])


def test_the_short_selection_covers_each_fault_and_each_operation():
    chosen = short_selection(SEED)
    assert {cell.hazard for cell in chosen} == set(HAZARDS)
    assert {cell.operation for cell in chosen} == set(OPERATIONS)

"""A warm standby takes over: it serves a halt when it acquires the lease, and has written nothing before."""

import pytest

from support.simulation.matrix import (
    halt_after_takeover,
    modes_after_takeover_with_an_expired_halt,
    writes_of_a_standby,
)


@pytest.mark.parametrize("slow_lists", [False, True], ids=["", "lists hang"])
@pytest.mark.parametrize(("is_killed", "limit_s"), [(True, 11.0), (False, 1.3)])
def test_a_halt_is_served_as_soon_as_the_lease_is_acquired(is_killed, limit_s, slow_lists):
    served = halt_after_takeover(is_killed=is_killed, slow_lists=slow_lists)
    assert served.halt_s < limit_s
    assert served.halt_s - served.acquired_s <= 0.3
    assert served.writes[0] == "patch configmaps"


def test_a_standby_writes_nothing_whatever_happens_to_its_watches():
    assert writes_of_a_standby() == []


def test_a_halt_that_expired_before_the_takeover_does_not_halt_again():
    assert modes_after_takeover_with_an_expired_halt() == []

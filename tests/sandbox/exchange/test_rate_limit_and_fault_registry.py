import pytest

from purpleflea_sandbox.exchange.core.faults import (
    Fault,
    FaultKind,
    FaultMatch,
    FaultRegistry,
    RequestTarget,
)
from purpleflea_sandbox.exchange.core.rate_limit import RateLimit

TARGET = RequestTarget(method="POST", path="/v1/orders", agent_id="momentum-0")


def test_a_caller_can_burst_its_allowance_and_then_waits_for_tokens():
    limit = RateLimit(per_minute=60)
    assert [limit.wait_s("a", 0) for _ in range(60)] == [0] * 60
    assert limit.wait_s("a", 0) == 1
    assert limit.wait_s("a", 999) == 1
    assert limit.wait_s("a", 1_000) == 0


def test_callers_do_not_share_an_allowance():
    limit = RateLimit(per_minute=1)
    assert limit.wait_s("a", 0) == 0
    assert limit.wait_s("a", 0) == 60
    assert limit.wait_s("b", 0) == 0


def test_a_clock_that_steps_back_neither_drains_nor_fills():
    limit = RateLimit(per_minute=2)
    assert limit.wait_s("a", 100_000) == 0
    assert limit.wait_s("a", 0) == 0
    assert limit.wait_s("a", 0) == 30


MATCHES = {
    "everything": (FaultMatch(), True),
    "the method": (FaultMatch(method="POST"), True),
    "another method": (FaultMatch(method="GET"), False),
    "the path": (FaultMatch(path_prefix="/v1/ord"), True),
    "another path": (FaultMatch(path_prefix="/v1/escrow"), False),
    "the agent": (FaultMatch(agent_id="momentum-0"), True),
    "another agent": (FaultMatch(agent_id="momentum-1"), False),
    "one of two": (FaultMatch(method="POST", agent_id="momentum-1"), False),
}


@pytest.mark.parametrize(("match", "matches"), MATCHES.values(), ids=MATCHES)
def test_a_fault_is_selected_for_matching_requests(match, matches):
    registry = FaultRegistry(lambda: 0.0)
    registry.replace([Fault(match=match, kind=FaultKind.RESET)])
    assert bool(registry.select(TARGET)) is matches


def test_a_fault_ends_after_its_number_of_times():
    registry = FaultRegistry(lambda: 0.0)
    registry.replace([Fault(kind=FaultKind.RESET, times=2)])
    assert [len(registry.select(TARGET)) for _ in range(3)] == [1, 1, 0]
    assert registry.installed[0].hits == 2


def test_a_fault_is_selected_with_its_probability():
    chances = iter([0.0, 0.29, 0.3, 0.99])
    registry = FaultRegistry(lambda: next(chances))
    registry.replace([Fault(kind=FaultKind.RESET, probability=0.3)])
    assert [len(registry.select(TARGET)) for _ in range(4)] == [1, 1, 0, 0]


def test_delays_accumulate_and_the_first_other_kind_ends_the_selection():
    registry = FaultRegistry(lambda: 0.0)
    kinds = [FaultKind.DELAY, FaultKind.DELAY, FaultKind.STATUS, FaultKind.RESET]
    registry.replace([Fault(kind=kind, ms=1) for kind in kinds])
    assert [fault.kind for fault in registry.select(TARGET)] == kinds[:3]


def test_only_reads_can_be_stale():
    registry = FaultRegistry(lambda: 0.0)
    registry.replace([Fault(kind=FaultKind.STALE)])
    assert registry.select(TARGET) == ()

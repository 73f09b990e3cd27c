from dataclasses import replace

import pytest

from purpleflea_sandbox.exchange.core import faults
from purpleflea_sandbox.exchange.core.faults import (
    Fault,
    FaultKind,
    FaultMatch,
    FaultRegistry,
    RequestTarget,
)
from purpleflea_sandbox.exchange.core.rate_limit import RateLimit

SEED = 7
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
    registry = FaultRegistry(SEED)
    registry.replace([Fault(match=match, kind=FaultKind.RESET)])
    assert bool(registry.select(TARGET)) is matches


def test_a_fault_ends_after_its_number_of_times():
    registry = FaultRegistry(SEED)
    registry.replace([Fault(kind=FaultKind.RESET, times=2)])
    assert [len(registry.select(TARGET)) for _ in range(3)] == [1, 1, 0]
    assert registry.installed[0].hits == 2


def hits(seed_of_exchange, requests, **fault):
    registry = FaultRegistry(seed_of_exchange)
    registry.replace([Fault(kind=FaultKind.RESET, **fault)])
    return [bool(registry.select(target)) for target in requests]


def test_a_fault_is_selected_with_its_probability():
    assert 270 < sum(hits(SEED, [TARGET] * 1_000, probability=0.3)) < 330


def test_a_selection_depends_only_on_the_seed_and_the_requests_of_one_agent():
    other = replace(TARGET, agent_id="momentum-1")
    alone = hits(SEED, [TARGET] * 100, probability=0.3)
    mixed = hits(SEED, [TARGET, other] * 100, probability=0.3)
    assert mixed[::2] == alone
    assert mixed[1::2] != alone
    assert hits(SEED + 1, [TARGET] * 100, probability=0.3) != alone
    assert hits(SEED + 1, [TARGET] * 100, probability=0.3, seed=5) == hits(
        SEED, [TARGET] * 100, probability=0.3, seed=5
    )


def test_a_hit_of_a_burst_affects_the_next_requests_of_the_same_agent():
    other = replace(TARGET, agent_id="momentum-1")
    single = hits(SEED, [TARGET] * 200, probability=0.05)
    first = single.index(True)
    burst = hits(SEED, [TARGET, other] * 200, probability=0.05, burst=5)
    assert burst[::2][first : first + 5] == [True] * 5
    assert not any(burst[::2][:first])


def test_faults_of_one_request_make_independent_choices():
    registry = FaultRegistry(SEED)
    registry.replace([Fault(kind=FaultKind.GATEWAY)])
    selections = [registry.select(TARGET)[0] for _ in range(200)]
    options = tuple(range(10))
    assert {item.choice("status", options) for item in selections} == set(options)
    assert [item.choice("a", options) for item in selections] != [
        item.choice("b", options) for item in selections
    ]


def test_the_counters_of_agents_are_bounded(monkeypatch):
    monkeypatch.setattr(faults, "MAX_AGENTS", 3)
    requests = [replace(TARGET, agent_id=f"agent-{number}") for number in range(10)]
    registry = FaultRegistry(SEED)
    registry.replace([Fault(kind=FaultKind.RESET)])
    assert all(registry.select(target) for target in requests)
    assert registry.installed[0].hits == 10


EFFECTS = [
    (FaultKind.STALE, "GET", "/v1/orders", True),
    (FaultKind.STALE, "POST", "/v1/orders", False),
    (FaultKind.PARTIAL_FILL, "POST", "/v1/orders", True),
    (FaultKind.PARTIAL_FILL, "GET", "/v1/orders", False),
    (FaultKind.LATE_FILL, "POST", "/v1/escrow", False),
    (FaultKind.LATE_STATE, "DELETE", "/v1/orders/ord_1", True),
    (FaultKind.LATE_STATE, "GET", "/v1/balance", False),
    (FaultKind.ODD_PRICE, "GET", "/v1/markets/BTC-USD/candles", True),
    (FaultKind.ODD_PRICE, "GET", "/v1/positions", False),
    (FaultKind.ODD_ROWS, "POST", "/v1/orders", True),
    (FaultKind.GATEWAY, "POST", "/faucet/claim", True),
]


@pytest.mark.parametrize(("kind", "method", "path", "applies"), EFFECTS)
def test_a_fault_is_counted_only_if_it_can_have_an_effect(kind, method, path, applies):
    target = RequestTarget(method=method, path=path, agent_id="momentum-0")
    assert Fault(kind=kind).applies_to(target) is applies


def test_delays_accumulate_and_the_first_other_kind_ends_the_selection():
    registry = FaultRegistry(SEED)
    kinds = [FaultKind.DELAY, FaultKind.DELAY, FaultKind.STATUS, FaultKind.RESET]
    registry.replace([Fault(kind=kind, ms=1) for kind in kinds])
    assert [item.fault.kind for item in registry.select(TARGET)] == kinds[:3]


def test_only_reads_can_be_stale():
    registry = FaultRegistry(SEED)
    registry.replace([Fault(kind=FaultKind.STALE)])
    assert registry.select(TARGET) == ()

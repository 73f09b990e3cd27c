"""The chaos run finds each error that a fix of the agent prevents, and finds none without such an error."""

import pytest

from support.chaos.network import LATE
from support.chaos.plan import NETWORK_FAULTS, Plan
from support.chaos.planted import PLANTED, Planted
from support.chaos.run import run

SMALL = {"agents": 3, "operations": 120, "ephemeral": 0, "stop_at_first": True}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_error_is_found(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    result = run(Plan(seed=5, **{**SMALL, **planted.plan}))
    assert result.found & set(planted.found), [str(item) for item in result.violations]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["positions as they are reported", "any price is used"])
def test_a_plan_of_a_planted_error_finds_nothing_without_it(name: str) -> None:
    result = run(Plan(seed=5, **{**SMALL, **PLANTED[name].plan}))
    assert [str(item) for item in result.violations] == []
    assert sum(result.faults.values()) > 20


def test_a_run_can_be_repeated() -> None:
    faults = tuple(kind for kind in NETWORK_FAULTS if kind != LATE)
    plan = Plan(seed=9, agents=2, operations=20, ephemeral=0, network_faults=faults)
    first, second = run(plan), run(plan)
    for name in ("faults", "events", "outcomes", "checks", "requests", "simulated_s"):
        assert getattr(first, name) == getattr(second, name), name

"""What must not make an order look lost: a stale answer, a clock that steps. What must not close a market for ever."""

import pytest

from purpleflea_agent.trading.absences import LOST_AFTER_NOES, LOST_AFTER_S, Absences

DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def absences(clock: Clock) -> Absences:
    return Absences(monotonic=clock)


def noes(absences: Absences, count: int, wall_age_s: float) -> list[bool]:
    return [absences.is_lost("k1", wall_age_s=wall_age_s) for _ in range(count)]


def test_one_no_is_never_enough_however_old_the_order(absences: Absences) -> None:
    verdicts = noes(absences, LOST_AFTER_NOES, DAY_S)
    assert verdicts == [False] * (LOST_AFTER_NOES - 1) + [True]


def test_a_clock_that_jumps_ahead_ages_no_order_of_this_process(
    absences: Absences, clock: Clock
) -> None:
    absences.begin("k1")
    assert not any(noes(absences, LOST_AFTER_NOES + 1, DAY_S))
    clock.now += LOST_AFTER_S + 1
    assert absences.is_lost("k1", wall_age_s=DAY_S)


def test_a_clock_that_jumps_back_leaves_no_order_open_for_ever(
    absences: Absences, clock: Clock
) -> None:
    assert not any(noes(absences, LOST_AFTER_NOES + 1, 0))
    clock.now += LOST_AFTER_S + 1
    assert absences.is_lost("k1", wall_age_s=0)


def test_an_order_seen_again_begins_anew(absences: Absences) -> None:
    noes(absences, LOST_AFTER_NOES - 1, DAY_S)
    absences.end("k1")
    assert not absences.is_lost("k1", wall_age_s=DAY_S)

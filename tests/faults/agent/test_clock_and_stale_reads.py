"""Missing orders: neither a stale answer nor a clock that steps abandons an order or blocks a market forever."""

import pytest

from purpleflea_agent.trading.missing_orders import (
    ABANDON_AFTER_LOOKUPS,
    ABANDON_AFTER_S,
    MissingOrderTracker,
)

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
def tracker(clock: Clock) -> MissingOrderTracker:
    return MissingOrderTracker(monotonic=clock)


def look_ups(tracker: MissingOrderTracker, count: int, wall_age_s: float) -> list[bool]:
    return [tracker.is_abandoned("k1", wall_age_s=wall_age_s) for _ in range(count)]


def test_one_look_up_never_abandons_an_order(tracker: MissingOrderTracker) -> None:
    verdicts = look_ups(tracker, ABANDON_AFTER_LOOKUPS, DAY_S)
    assert verdicts == [False] * (ABANDON_AFTER_LOOKUPS - 1) + [True]


def test_a_clock_that_jumps_ahead_does_not_age_orders_of_this_process(
    tracker: MissingOrderTracker, clock: Clock
) -> None:
    tracker.track("k1")
    assert not any(look_ups(tracker, ABANDON_AFTER_LOOKUPS + 1, DAY_S))
    clock.now += ABANDON_AFTER_S + 1
    assert tracker.is_abandoned("k1", wall_age_s=DAY_S)


def test_a_clock_that_jumps_back_does_not_prevent_abandonment(
    tracker: MissingOrderTracker, clock: Clock
) -> None:
    assert not any(look_ups(tracker, ABANDON_AFTER_LOOKUPS + 1, 0))
    clock.now += ABANDON_AFTER_S + 1
    assert tracker.is_abandoned("k1", wall_age_s=0)


def test_an_order_that_was_found_starts_from_zero(tracker: MissingOrderTracker) -> None:
    look_ups(tracker, ABANDON_AFTER_LOOKUPS - 1, DAY_S)
    tracker.resolve("k1")
    assert not tracker.is_abandoned("k1", wall_age_s=DAY_S)

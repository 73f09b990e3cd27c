"""Missing orders: no stale answer, restart or step of the wall clock abandons an order early."""

from collections.abc import Callable

import pytest

from purpleflea_agent.trading.missing_orders import (
    ABANDON_AFTER_LOOKUPS,
    ABANDON_AFTER_S,
    MissingOrderTracker,
)


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


def look_ups(tracker: MissingOrderTracker, count: int) -> list[bool]:
    return [tracker.is_abandoned("k1") for _ in range(count)]


def sent_here(tracker: MissingOrderTracker) -> None:
    tracker.track("k1")


def sent_by_an_earlier_process(tracker: MissingOrderTracker) -> None:
    """Only the journal has it: its wall clock may have stepped by hours since the order was sent."""


@pytest.mark.parametrize("begin", [sent_here, sent_by_an_earlier_process])
def test_an_order_is_abandoned_only_after_the_window_of_this_process(
    tracker: MissingOrderTracker, clock: Clock, begin: Callable[[MissingOrderTracker], None]
) -> None:
    begin(tracker)
    assert not any(look_ups(tracker, ABANDON_AFTER_LOOKUPS + 1))
    clock.now += ABANDON_AFTER_S - 1
    assert not tracker.is_abandoned("k1")
    clock.now += 2
    assert tracker.is_abandoned("k1")


def test_a_few_answers_after_a_long_time_do_not_abandon_an_order(
    tracker: MissingOrderTracker, clock: Clock
) -> None:
    tracker.track("k1")
    clock.now += ABANDON_AFTER_S + 1
    assert look_ups(tracker, ABANDON_AFTER_LOOKUPS) == [False] * (ABANDON_AFTER_LOOKUPS - 1) + [
        True
    ]


def test_an_order_that_was_found_starts_from_zero(
    tracker: MissingOrderTracker, clock: Clock
) -> None:
    tracker.track("k1")
    clock.now += ABANDON_AFTER_S + 1
    look_ups(tracker, ABANDON_AFTER_LOOKUPS - 1)
    tracker.resolve("k1")
    assert not any(look_ups(tracker, ABANDON_AFTER_LOOKUPS))

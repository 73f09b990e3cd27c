"""The limit of orders in a minute across processes, whatever the wall clock does between them."""

from pathlib import Path

import pytest

from purpleflea_agent.exchange.port import OrderRequest
from purpleflea_agent.journal import Journal, order_times
from purpleflea_agent.trading.order_rate import OrderRate
from support.agent_parts import Clock

HOUR_S = 3_600.0
STEPS = {
    "none": 0.0,
    "back": -HOUR_S,
    "ahead": HOUR_S,
    "back a day": -24 * HOUR_S,
    "ahead 61 s": 61,
}


def request(number: int) -> OrderRequest:
    return OrderRequest(
        idempotency_key=f"k{number}", market="BTC-USD", side="buy", size=number or 1
    )


async def counted_after(folder: Path, clock: Clock, orders: int, *, later_s: float) -> int:
    """Write orders in one process; return the number that the next process counts."""
    journal = Journal(folder, clock=clock, monotonic=clock.monotonic)
    for number in range(orders):
        await journal.write(request(number))
    await journal.close()
    clock.now += later_s
    journal = Journal(folder, clock=clock, monotonic=clock.monotonic)
    try:
        return await OrderRate(journal, clock=clock, monotonic=clock.monotonic).last_minute()
    finally:
        await journal.close()


@pytest.mark.parametrize("step_s", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize(("later_s", "counted"), [(0.0, 5), (74.0, 5), (76.0, 0)])
async def test_a_new_process_counts_the_orders_that_may_have_left_in_the_last_minute(
    tmp_path: Path, step_s: float, later_s: float, counted: int
) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock, monotonic=clock.monotonic)
    for number in range(5):
        await journal.write(request(number))
    await journal.close()
    clock.set_by = step_s
    assert await counted_after(tmp_path, clock, 0, later_s=later_s) == counted


@pytest.mark.parametrize(("step_s", "counted"), [(0.0, 5), (-HOUR_S, 5), (HOUR_S, 0)])
async def test_without_a_record_of_this_boot_the_wall_clock_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, counted: int
) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock, monotonic=clock.monotonic)
    for number in range(5):
        await journal.write(request(number))
    await journal.close()
    clock.set_by = step_s
    for boot in ("another boot", None):
        monkeypatch.setattr(order_times, "boot_id", lambda boot=boot: boot)
        assert await counted_after(tmp_path, clock, 0, later_s=1.0) == counted


async def test_a_second_restart_after_a_new_boot_counts_the_orders_before_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    assert await counted_after(tmp_path, clock, 5, later_s=1.0) == 5
    monkeypatch.setattr(order_times, "boot_id", lambda: "another boot")
    journal = Journal(tmp_path, clock=clock, monotonic=clock.monotonic)
    await journal.write(request(5))
    await journal.close()
    assert await counted_after(tmp_path, clock, 0, later_s=1.0) == 6


async def test_orders_of_this_process_are_not_counted_twice(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock, monotonic=clock.monotonic)
    rate = OrderRate(journal, clock=clock, monotonic=clock.monotonic)
    for number in range(3):
        rate.record()
        await journal.write(request(number))
    assert await rate.last_minute() == 3
    clock.now += 61
    assert await rate.last_minute() == 0
    await journal.close()


async def test_an_order_counts_for_a_minute_after_its_request_and_not_after_its_record(
    tmp_path: Path,
) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock, monotonic=clock.monotonic)
    rate = OrderRate(journal, clock=clock, monotonic=clock.monotonic)
    rate.record()
    clock.now += 65  # a slow disk
    with rate.leaving():
        clock.now += 6  # a slow connection
    clock.now += 59
    assert await rate.last_minute() == 1
    clock.now += 2
    assert await rate.last_minute() == 0
    await journal.close()


async def test_the_record_has_only_the_orders_of_the_last_minute(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock, monotonic=clock.monotonic)
    for number in range(100):
        await journal.write(request(number))
        clock.now += 10
    assert len(str(journal._store.key_values.get(order_times.NAME))) < 300
    assert await journal.order_ages() == [70, 60, 50, 40, 30, 20, 10]
    await journal.close()

"""All keys are queued in slices, so that the event loop serves other tasks meanwhile."""

import asyncio
import itertools

import pytest

from purpleflea_operator.runtime.sweep import SLICE, Sweep
from support.operation_counts import calls_of


def a_sweep(count):
    """Return a sweep over so many keys, and the keys that it has added."""
    added = []
    return Sweep(lambda: list(range(count)), added.append), added


@pytest.mark.parametrize("count", [0, 1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
async def test_each_key_is_added_once(count):
    sweep, added = a_sweep(count)
    sweep.start()
    await sweep.finish()
    assert added == list(range(count))


async def test_no_more_than_a_slice_is_added_in_one_iteration_of_the_loop():
    sweep, added = a_sweep(10 * SLICE)
    sweep.start()
    assert added == []
    sizes = [0]
    while len(added) < 10 * SLICE:
        await asyncio.sleep(0)
        sizes.append(len(added))
    assert max(after - before for before, after in itertools.pairwise(sizes)) == SLICE
    await sweep.finish()


async def test_requests_during_a_sweep_cause_one_more():
    sweep, added = a_sweep(2 * SLICE)
    sweep.start()
    for _ in range(3):
        await asyncio.sleep(0)
    assert 0 < len(added) <= 2 * SLICE
    for _ in range(100):
        sweep.start()
    await sweep.finish()
    assert added == [*range(2 * SLICE), *range(2 * SLICE)]


async def test_a_finished_sweep_can_start_again():
    sweep, added = a_sweep(3)
    for _ in range(2):
        sweep.start()
        await sweep.finish()
    await sweep.finish()
    assert added == [0, 1, 2, 0, 1, 2]


async def test_a_request_costs_the_same_for_any_number_of_keys():
    costs = []
    for count in (10, 20_000):
        sweep, _ = a_sweep(count)
        costs.append(calls_of(sweep.start))
        await sweep.finish()
    assert costs[0] == costs[1]

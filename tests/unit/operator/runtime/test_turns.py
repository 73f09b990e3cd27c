"""Turns: a halt does not wait until the passes of all workers have computed."""

import asyncio
import contextlib

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.turns import Turns
from purpleflea_operator.runtime.workers import Result, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

WORKERS, AGENTS = 32, 1000
CYCLES = 10
"""Cycles of the event loop from the event of a halt until its request is sent."""


async def passes_before_a_halt(turns):
    """Return how many passes over 1,000 changed agents start until a halt is sent, while 32 workers are free."""
    passes, halts = WorkQueue(jitter=lambda: 0.0), WorkQueue(jitter=lambda: 0.0)
    started, sent = [], asyncio.Event()

    async def reconcile(key):
        started.append(key)
        await asyncio.sleep(0)
        return Result()

    async def halt(key):
        for _ in range(CYCLES):
            await asyncio.sleep(0)
        sent.set()
        return Result()

    tasks = [asyncio.create_task(run_worker(passes, reconcile, turns)) for _ in range(WORKERS)]
    tasks.append(asyncio.create_task(run_worker(halts, halt)))
    await asyncio.sleep(0)
    for number in range(AGENTS):
        passes.add(NamespacedName("trading", f"agent-{number}"))
    halts.add(NamespacedName("trading", "agent-999"))
    await sent.wait()
    count = len(started)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    passes.close()
    halts.close()
    return count


async def test_one_pass_starts_per_cycle_while_a_halt_is_sent():
    assert await passes_before_a_halt(Turns()) <= CYCLES + 2
    # Without turns, each cycle computes the passes of many workers.
    assert await passes_before_a_halt(None) > 5 * CYCLES


async def test_turns_are_given_in_sequence_and_canceled_tasks_are_skipped():
    turns, found = Turns(), []

    async def take(name):
        await turns.wait()
        found.append(name)

    tasks = [asyncio.create_task(take(name)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert found == ["a", "c", "d"]
    await turns.wait()

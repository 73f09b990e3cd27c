"""A halt does not wait until the passes of all workers have computed."""

import asyncio

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.workers import Result, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

WORKERS, AGENTS = 32, 1000
CYCLES = 10
"""Cycles of the event loop from the event of a halt until its request is sent."""


async def test_at_most_one_pass_starts_per_cycle_while_a_halt_is_sent():
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

    tasks = [asyncio.create_task(run_worker(passes, reconcile)) for _ in range(WORKERS)]
    tasks.append(asyncio.create_task(run_worker(halts, halt)))
    await asyncio.sleep(0)
    for number in range(AGENTS):
        passes.add(NamespacedName("trading", f"agent-{number}"))
    halts.add(NamespacedName("trading", "agent-999"))
    await sent.wait()
    # Without this limit, each cycle would compute the passes of many workers.
    assert len(started) <= CYCLES + 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    passes.close()
    halts.close()

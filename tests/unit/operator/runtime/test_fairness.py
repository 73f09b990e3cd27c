"""A halt does not wait until the passes of all workers have computed, and many halts slow down the passes."""

import asyncio

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.leading import WorkerPool
from purpleflea_operator.runtime.workers import Result, TimedReconciler, run_worker
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


async def test_one_worker_continues_with_the_passes_while_halts_wait_for_a_worker():
    passes, halts = WorkQueue(jitter=lambda: 0.0), WorkQueue(jitter=lambda: 0.0)
    started, ended = [], asyncio.Event()

    async def reconcile(key):
        started.append(key)
        await ended.wait()
        return Result()

    async def halt(key):
        await asyncio.Event().wait()

    pool = WorkerPool(
        name="workers", queue=passes, passes=reconciler(reconcile), count=8, before=halts
    )
    tasks = [asyncio.create_task(work) for _, work in pool.workers()]
    for number in range(AGENTS):
        passes.add(NamespacedName("trading", f"agent-{number}"))
        halts.add(NamespacedName("trading", f"agent-{number}"), urgent=True)
    await cycles(20)
    assert len(started) == 1

    tasks += [asyncio.create_task(run_worker(halts, halt)) for _ in range(AGENTS)]
    await cycles(3 * AGENTS)
    assert len(halts) == 0
    # A halt that hangs has a worker, so it does not stop the passes.
    assert len(started) == 8
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    passes.close()
    halts.close()


def reconciler(reconcile):
    return TimedReconciler(reconcile, clock=lambda: 0.0, on_pass_end=lambda outcome, seconds: None)


async def cycles(number):
    for _ in range(number):
        await asyncio.sleep(0)

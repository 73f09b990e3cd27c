"""Runs the tasks of a leading replica: the watches, both controllers, and the workers of both queues.

It only starts and cancels them. The components are created in app.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.workers import TimedReconciler, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

Task = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """Workers of one queue; `name` is the prefix of their tasks."""

    name: str
    queue: WorkQueue[NamespacedName]
    passes: TimedReconciler
    count: int


AllWorkers = tuple[WorkerPool, WorkerPool]
"""The workers of the passes, and those of the control lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderTasks:
    """The tasks, in the sequence of their start."""

    watching: Task
    synchronize: Task
    """Returns when the caches are complete."""
    controllers: tuple[Task, ...]
    workers: AllWorkers

    async def run(self) -> None:
        """Watch, and start everything else as soon as the caches are complete. Run until canceled.

        Raises:
            StartError: The caches cannot be completed.
        """
        serving = asyncio.create_task(self.watching(), name="watches")
        try:
            await _first(serving, self.synchronize())
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(item()) for item in self.controllers]
                tasks += [
                    group.create_task(
                        run_worker(item.queue, item.passes.reconcile), name=f"{item.name}-{number}"
                    )
                    for item in self.workers
                    for number in range(item.count)
                ]
                logger.info("started", extra={item.name: item.count for item in self.workers})
                try:
                    await serving
                finally:
                    for task in tasks:
                        task.cancel()
                    logger.info("stopped")
        finally:
            serving.cancel()
            await asyncio.wait([serving])


async def _first(serving: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, unless the watches fail before."""
    task = asyncio.create_task(work, name="synchronize")
    try:
        await asyncio.wait((serving, task), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])

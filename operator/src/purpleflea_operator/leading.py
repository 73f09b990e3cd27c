"""Runs the tasks of a leading replica: the controllers, the workers of both queues, and the watches.

It only starts and cancels them. The components are created in app.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.workers import TimedReconciler, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """Workers of one queue; `name` is the prefix of their tasks."""

    name: str
    queue: WorkQueue[NamespacedName]
    passes: TimedReconciler
    count: int


class Controller(Protocol):
    """A controller with tasks."""

    async def run(self) -> None:
        """Run the tasks until canceled."""


AllWorkers = tuple[WorkerPool, WorkerPool]
"""The workers of the passes, and those of the control lane."""


async def run_tasks(
    controllers: Iterable[Controller],
    workers: AllWorkers,
    watching: tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]],
) -> None:
    """Run the workers, the search for missing kinds, and kopf."""
    missing, serve = watching
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(item.run(), name=type(item).__name__) for item in controllers]
        tasks.append(group.create_task(missing, name="missing-kinds"))
        tasks += [
            group.create_task(
                run_worker(item.queue, item.passes.reconcile), name=f"{item.name}-{number}"
            )
            for item in workers
            for number in range(item.count)
        ]
        logger.info("started", extra={item.name: item.count for item in workers})
        try:
            await serve
        finally:
            for task in tasks:
                task.cancel()
            logger.info("stopped")

"""Runs the tasks of one replica: its watches, the election, and, while it leads, the controllers and their workers.

A standby lists and watches like the leader, so that it only has to act when it leads. It writes nothing: its queues
accept no keys, and its requests are fenced. The module only starts and cancels tasks. The components are created in
app.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime import lifecycle
from purpleflea_operator.runtime.leader_election.elector import LeaderElector
from purpleflea_operator.runtime.workers import TimedReconciler, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]
Task = Callable[[], Work]
Start = Callable[[bool], Work]
"""Step of a replica that becomes the leader. The argument is True if it was a standby, so its caches may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPool:
    """Workers of one queue; `name` is the prefix of their tasks.

    All workers but one pause while urgent keys of the queue `before` wait for a worker. A halt of 1,000 agents then has
    the time of the API server, and a queue that is stuck does not stop the passes.
    """

    name: str
    queue: WorkQueue[NamespacedName]
    passes: TimedReconciler
    count: int
    before: WorkQueue[NamespacedName] | None = None

    def workers(self) -> Iterable[tuple[str, Work]]:
        """Yield the name and the coroutine of each worker."""
        for number in range(self.count):
            before = self.before if number > 0 else None
            work = run_worker(self.queue, self.passes.reconcile, before=before)
            yield f"{self.name}-{number}", work

    def with_passes(
        self,
        name: str,
        queue: WorkQueue[NamespacedName],
        passes: TimedReconciler,
        *,
        count: int,
    ) -> "AllWorkers":
        """Return the workers of the passes, which leave the time to urgent keys of this queue, and these workers."""
        before = self.queue
        return WorkerPool(name=name, queue=queue, passes=passes, count=count, before=before), self


AllWorkers = tuple[WorkerPool, WorkerPool]
"""The workers of the passes, and those of the control lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTasks:
    """The tasks of a replica."""

    watching: Task
    """Lists and watches, until it is canceled."""
    synchronize: Task
    """Returns when the caches are complete."""
    start_control: Start
    """Returns when all agents whose mode differs are queued in the control lane."""
    start_passes: Start
    """Returns when all agents are queued for a pass."""
    controllers: tuple[Task, ...]
    workers: AllWorkers

    async def run(self, elector: LeaderElector | None) -> None:
        """Stand by until the replica leads, then lead. Without an elector, lead at once. Run until canceled.

        Raises:
            StartError: The caches cannot be completed, or the Lease cannot be read or written.
            LeaseLostError: Another replica may lead. All tasks that write are canceled before it is raised.
        """
        if elector is None:
            async with _running([("watches", self._keep_current())]) as current:
                await _unless_ended(current, self._lead(False))
            return
        try:
            acquiring = asyncio.create_task(
                lifecycle.wait_for_leadership(elector), name="acquire the lease"
            )
            waiting = asyncio.create_task(elector.standing_by.wait(), name="stand by")
            try:
                # A replica that leads at once lists everything after it has acquired the lease, and only once.
                await asyncio.wait((acquiring, waiting), return_when=asyncio.FIRST_COMPLETED)
                is_standby = not acquiring.done()
                async with _running([("watches", self._keep_current())]) as current:
                    await _unless_ended(current, acquiring)
                    leading = _unless_ended(current, self._lead(is_standby))
                    await lifecycle.run_while_leader(elector, leading)
            finally:
                await _cancel([acquiring, waiting])
        finally:
            await elector.release()

    async def _keep_current(self) -> None:
        """Watch until canceled.

        Raises:
            StartError: The caches cannot be completed.
        """
        async with _running([("lists and watches", self.watching())]) as watching:
            await _unless_ended(watching, self.synchronize())
            await _first_end(watching)

    async def _lead(self, is_standby: bool) -> None:
        passes, control = self.workers
        async with _running(control.workers()) as lane:
            # Halts do not wait for the lists that only passes use.
            await _unless_ended(lane, self.start_control(is_standby))
            await _unless_ended(lane, self.start_passes(is_standby))
            others = [
                (f"controller-{number}", run()) for number, run in enumerate(self.controllers)
            ]
            async with _running([*others, *passes.workers()]) as rest:
                logger.info("started", extra={item.name: item.count for item in self.workers})
                try:
                    await _first_end([*lane, *rest])
                finally:
                    logger.info("stopped")


@asynccontextmanager
async def _running(works: Iterable[tuple[str, Work]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run these coroutines, with the names of their tasks, while the context lasts."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works]
    try:
        yield tasks
    finally:
        await _cancel(tasks)


async def _cancel(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _first_end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Wait for the end of one of these tasks, and raise its error."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
        raise RuntimeError(f"task {task.get_name()!r} ended")


async def _unless_ended(tasks: Sequence["asyncio.Task[None]"], work: Awaitable[None]) -> None:
    """Run `work` to its end, unless one of these tasks ends before it. Its error is raised then."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((*tasks, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await _first_end(tasks)
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""Steps of a replica that becomes the leader: open the queues, make the caches current, start halts first.

A replica that leads at once waits for its first lists. A standby has complete caches, but a watch can be behind without
an error. The former leader may have applied a change that the standby has not received, and a decision from the older
version would undo it. Therefore the new leader lists everything again, which reads the newest versions. The control
lane does not wait for these lists: it reads an agent before it writes the mode, and no agent resumes before the halts
are listed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.control_lane import ControlLane
from purpleflea_operator.controllers.agent.informer import Informer
from purpleflea_operator.controllers.halt.controller import HaltController
from purpleflea_operator.controllers.observability.controller import ObservabilityController
from purpleflea_operator.kube import resources
from purpleflea_operator.leading import AllWorkers, ReplicaTasks
from purpleflea_operator.runtime import cache_sync
from purpleflea_operator.runtime.cache_sync import CacheSync
from purpleflea_operator.runtime.workqueue import WorkQueue
from purpleflea_operator.watching import Watching

CONTROL_KINDS = (resources.AGENT, resources.CONFIG_MAP, resources.POD, resources.HALT)
"""Kinds from which the control lane decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """The components that start when the replica leads."""

    watching: Watching
    sync: CacheSync
    queues: Sequence[WorkQueue[Any]]
    informer: Informer
    lane: ControlLane
    halts: HaltController
    observability: ObservabilityController

    def tasks(
        self,
        workers: AllWorkers,
        *,
        on_complete: Callable[[], None],
        on_started: Callable[[], None],
    ) -> ReplicaTasks:
        """Return the tasks of the replica, with calls when its caches are complete and when it serves as the leader."""

        async def synchronize() -> None:
            await self.synchronize()
            on_complete()

        async def start_passes(is_standby: bool) -> None:
            await self.start_passes(is_standby)
            on_started()

        return ReplicaTasks(
            watching=self.watch,
            synchronize=synchronize,
            start_control=self.start_control,
            start_passes=start_passes,
            controllers=(self.informer.run, self.observability.run, self.halts.run),
            workers=workers,
        )

    async def watch(self) -> None:
        """List and watch, until canceled.

        Raises:
            StartError: The discovery document cannot be read, or a kind that the operator needs is not served.
        """
        await self.sync.read(self.watching.discover)
        await self.watching.run()

    async def synchronize(self) -> None:
        """Wait until the caches are complete.

        Raises:
            StartError: The API server refuses a kind that the operator needs.
        """
        await self.watching.discovered.wait()
        await self.sync.wait(self.watching.states())

    async def start_control(self, is_standby: bool) -> None:
        """Open the queues, and queue the agents whose mode differs in the control lane."""
        for queue in self.queues:
            queue.open()
        self.halts.start()
        self.observability.start()
        if is_standby:
            self.lane.confirmation.is_required = True
            # A halt does not wait longer, because it needs no other halt. Without the list no agent resumes.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timings.LEADER_HALTS_S):
                    await self.watching.refresh((resources.HALT,))
        await self.watching.discovered.wait()
        states = self.watching.states(CONTROL_KINDS).values()
        await cache_sync.listed([state for paths in states for state in paths])
        await self.informer.start_control()

    async def start_passes(self, is_standby: bool) -> None:
        """Make all caches current, and queue all agents for a pass.

        Raises:
            StartError: A Service of a node agent cannot be read.
        """
        await self.sync.completed.wait()
        if is_standby:
            await self.watching.refresh()
            self.lane.confirmation.is_required = False
        await self.sync.read(self.informer.start)

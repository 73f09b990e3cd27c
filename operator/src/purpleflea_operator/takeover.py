"""Steps of a replica that becomes the leader: open the queues, make the caches current, start halts first.

A replica that leads at once waits for its first lists. A standby has complete caches, but a watch can be behind without
an error. The former leader may have applied a change that the standby has not received, and a decision from the older
version would undo it. Therefore the new leader lists everything again, which reads the newest versions. Passes wait for
the kinds from which they decide. If one of these is refused, the replica ends, so that another one leads.

The control lane does not wait for these lists. It reads an agent before it writes the mode, and no agent resumes before
the halts are listed. Until both are done, a stop counts as a halt, because a flatten cannot be undone.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.control_lane import ControlLane
from purpleflea_operator.controllers.agent.informer import Informer
from purpleflea_operator.controllers.halt.controller import HaltController
from purpleflea_operator.controllers.observability.controller import ObservabilityController
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.reflector import Refusal
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.leading import AllWorkers, ReplicaTasks
from purpleflea_operator.runtime import cache_sync
from purpleflea_operator.runtime.cache_sync import CacheSync
from purpleflea_operator.runtime.workqueue import WorkQueue
from purpleflea_operator.watching import Watching

DECISIVE_KINDS = (
    resources.AGENT,
    resources.HALT,
    *resources.CHILDREN,
    resources.POD,
    resources.CLAIM,
)
"""Kinds from which passes decide what they write, scale or delete. No pass starts before they are listed again."""
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
                    await self._refresh((resources.HALT,))
        await self.watching.discovered.wait()
        states = self.watching.states(CONTROL_KINDS).values()
        await cache_sync.listed([state for paths in states for state in paths])
        await self.informer.start_control()

    async def start_passes(self, is_standby: bool) -> None:
        """Make all caches current, and queue all agents for a pass.

        Raises:
            StartError: A Service of a node agent cannot be read, or a kind that the operator needs is refused.
        """
        await self.sync.completed.wait()
        if is_standby:
            others = [kind for kind in self.watching.states() if kind not in DECISIVE_KINDS]
            self.watching.refresh_later(others)
            await self._refresh(DECISIVE_KINDS)
            self.lane.confirmation.is_required = False
        await self.sync.read(self.informer.start)

    async def _refresh(self, kinds: Collection[ResourceKind]) -> None:
        """List kinds again, and retry those in the background that are optional and refused.

        Raises:
            StartError: The API server refuses another kind, so its cached objects can be outdated.
        """
        try:
            await self.watching.refresh(kinds, self._on_refused)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    def _on_refused(self, refusal: Refusal) -> None:
        if not refusal.kind.optional:
            raise cache_sync.refused_error(refusal.status, refusal.message)
        self.watching.refresh_later((refusal.kind,))

"""Steps of a replica that becomes the leader: open the queues, make the caches current, start halts first.

A replica that leads at once waits for its first lists. A standby has complete caches, but a watch can be behind without
an error. The former leader may have applied a change that the standby has not received, and a decision from the older
version would undo it. Therefore the new leader lists everything again, which reads the newest versions. Passes wait for
the kinds from which they decide. If one of these is refused, the replica ends, so that another one leads.

The control lane does not wait for these lists. It reads an agent before it writes the mode, and no agent resumes before
the halts are listed. Until both are done, a stop counts as a halt, because a flatten cannot be undone.

The halts are listed in the background if the API server does not answer in time, also at a start that takes over
nothing. Passes run without them: an agent that is new starts halted, and the mode of each other agent is kept.
"""

import asyncio
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
from purpleflea_operator.kube.watch_state import WatchState
from purpleflea_operator.leading import AllWorkers, ReplicaTasks, Task
from purpleflea_operator.runtime import cache_sync
from purpleflea_operator.runtime.cache_sync import CacheSync
from purpleflea_operator.runtime.workqueue import WorkQueue
from purpleflea_operator.watching import Watching

DECISIVE_KINDS = (
    resources.AGENT,
    *resources.CHILDREN,
    resources.POD,
    resources.CLAIM,
)
"""Kinds from which passes decide what they write, scale or delete. No pass starts before they are listed again."""
CONTROL_KINDS = (resources.AGENT, resources.CONFIG_MAP, resources.POD)
"""Kinds from which the control lane decides. Without the halts, it only writes modes that allow less."""


@dataclass(slots=True, kw_only=True)
class Takeover:
    """The components that start when the replica leads."""

    watching: Watching
    sync: CacheSync
    queues: Sequence[WorkQueue[Any]]
    informer: Informer
    lane: ControlLane
    halts: HaltController
    observability: ObservabilityController
    reporters: tuple[Task, ...] = ()
    """Further tasks of a leader."""
    reading_halts: asyncio.Task[None] | None = None
    """The list of the halts that a standby reads when it leads."""

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
            controllers=(
                self.informer.run,
                self.observability.run,
                self.halts.run,
                *self.reporters,
            ),
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
        states = dict(self.watching.states())
        halts = states.pop(resources.HALT, ())
        await self.sync.wait(states, halts, timings.HALTS_LIMIT_S)

    async def start_control(self, is_standby: bool) -> None:
        """Open the queues, and queue the agents whose mode differs in the control lane."""
        for queue in self.queues:
            queue.open()
        self.halts.start()
        self.observability.start()
        self.lane.confirmation.is_required = is_standby
        # A halt in a spec waits for the PurpleFleaHalts for a moment only, because it does not need them.
        if is_standby:
            self.reading_halts = self.watching.start_refresh((resources.HALT,), self._on_refused)
            await self._read_halts(timings.LEADER_HALTS_S)
        await self.watching.discovered.wait()
        await cache_sync.listed(self._states(CONTROL_KINDS))
        await cache_sync.listed(self._states((resources.HALT,)), limit_s=timings.LEADER_HALTS_S)
        await self.informer.start_control()

    async def _read_halts(self, limit_s: float) -> None:
        if self.reading_halts is not None:
            await asyncio.wait((self.reading_halts,), timeout=limit_s)

    def _states(self, kinds: Collection[ResourceKind]) -> list[WatchState]:
        return [state for paths in self.watching.states(kinds).values() for state in paths]

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
            # The lane has computed it from pods that were possibly outdated.
            self.halts.forget_progress()
        await self._read_halts(timings.HALTS_LIMIT_S)
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

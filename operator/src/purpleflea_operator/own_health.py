"""Health of a replica as the replica itself observes it: the checks of /livez, and the gauges of /metrics.

It only reads from the components.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.fleet_totals import Fleet, FleetTotals
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.request_hooks import WatchMonitor
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.kube.watch_state import WatchStates
from purpleflea_operator.leading import AllWorkers
from purpleflea_operator.runtime import health
from purpleflea_operator.runtime.leader_election.elector import LeaderElector
from purpleflea_operator.runtime.metrics import GaugeSources
from purpleflea_operator.runtime.workers import TimedReconciler
from purpleflea_operator.runtime.workqueue import WorkQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHealth:
    """The observed components. Without an elector, the replica leads."""

    scope: WatchScope
    states: WatchStates
    watches: WatchMonitor
    silence_limit_s: float
    elector: LeaderElector | None

    def checks(
        self, workers: AllWorkers, sync_passes: TimedReconciler
    ) -> tuple[Callable[[], str], ...]:
        """Return the checks of stalled and refused watches, and of stuck queues."""
        passes, control = workers
        return (
            lambda: health.refused_watch(
                resources.AGENT.plural,
                self.states.refused_s(self.scope.paths(resources.AGENT)),
                limit_s=timings.REFUSED_LIMIT_S,
            ),
            lambda: health.stalled_watches(self.watches.idle_s(), limit_s=self.silence_limit_s),
            lambda: health.stuck_queue(
                waiting_s=passes.queue.oldest_s(),
                idle_s=passes.passes.idle_s(),
                longest_s=max(passes.passes.longest_s(), sync_passes.longest_s()),
            ),
            lambda: health.stuck_queue(
                waiting_s=control.queue.oldest_s(),
                idle_s=control.passes.idle_s(),
                longest_s=control.passes.longest_s(),
                name="control queue",
            ),
        )

    def gauges(
        self,
        queues: tuple[WorkQueue[NamespacedName], WorkQueue[NamespacedName]],
        totals: FleetTotals,
        restarts: RestartBudget,
        *,
        fleets: Callable[[], Mapping[Fleet, tuple[int, float]]],
    ) -> GaugeSources:
        """Return the sources of the gauges. `queues` has that of the passes, and that of the control lane.

        `fleets` returns the number of agents of each fleet, and the longest time in seconds for which one is halted.
        """
        passes, control = queues

        def is_leading() -> bool:
            return self.elector is None or self.elector.is_leading

        return GaugeSources(
            is_leading=is_leading,
            queue_depth=lambda: len(passes),
            queue_oldest_s=lambda: max(passes.oldest_s(), control.oldest_s()),
            watch_silence_s=self.watches.idle_s,
            watch_failures=self.states.failures,
            # A standby has the same agents in its caches, and a sum over the replicas must not count them twice.
            agents=lambda: len(totals) if is_leading() else 0,
            conditions=lambda: totals.conditions if is_leading() else {},
            upgrades=lambda: (restarts.pending(), restarts.failing()),
            fleets=lambda: fleets() if is_leading() else {},
            replicas=lambda: totals.pods if is_leading() else (0, 0, 0),
        )

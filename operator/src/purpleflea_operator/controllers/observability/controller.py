"""Controller of PurpleFleaObservability: watch events, lists, work queue and workers.

Queue and workers are separate from those of the agents, so a slow or unreachable Datadog delays only this controller.
The reconciler implements the passes.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from purpleflea_operator.controllers.observability.absence_watch import AbsenceWatch
from purpleflea_operator.controllers.observability.decisions.version_rollouts import service_of
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.controllers.observability.reconciler import (
    ObservabilityReconciler,
    OpenDatadog,
)
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.controllers.observability.rollout_watch import RolloutWatch
from purpleflea_operator.datadog.client.client import HttpDatadogClient
from purpleflea_operator.datadog.client.transport import Keys, RequestHook, Transport
from purpleflea_operator.kube import resources as kube_resources
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping, text
from purpleflea_operator.runtime.containment import Containment, check_identity
from purpleflea_operator.runtime.workers import PassEndHook, TimedReconciler, Times, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DatadogAccess:
    """Session for Datadog, and the URLs, besides Datadog's own, to which keys may be sent."""

    session: aiohttp.ClientSession
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHooks:
    """Hooks that count requests to Datadog, and passes."""

    request: RequestHook
    end_of_pass: PassEndHook


class ObservabilityController:
    """Keeps the resource cache current and reconciles the resources."""

    def __init__(
        self,
        resources: ResourceCache,
        queue: WorkQueue[NamespacedName],
        passes: TimedReconciler,
        fleet: CachedFleet,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self.rollouts = RolloutWatch(resources, fleet, queue)
        self.absences = AbsenceWatch(resources, fleet, queue, now)
        self.watched: tuple[ResourceKind, ...] = (kube_resources.OBSERVABILITY,)
        self._resources = resources
        self._queue = queue
        self.passes = passes
        self._containment = Containment()

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process one watch event. An unreadable object is skipped."""
        with self._containment.of(kind, manifest):
            self._process(event_type, manifest)

    def on_listed(self, kind: ResourceKind, listing: Listing) -> None:
        """Remove the resources that a complete list does not contain."""
        for key in self._resources.prune(listing):
            self._queue.add(key)

    def on_refused(self, kind: ResourceKind, *, status: int) -> None:
        """Keep the resources as they are, because a refused watch does not mean that they are deleted."""

    def _process(self, event_type: str | None, manifest: Manifest) -> None:
        check_identity(manifest)
        metadata = manifest["metadata"]
        key = NamespacedName(metadata["namespace"], metadata["name"])
        if event_type == "DELETED":
            self._resources.delete(key, metadata["uid"])
            for affected in (key, *self._resources.adopters(metadata["uid"])):
                self._queue.add(affected)
        elif self._resources.observe(manifest):
            self._queue.add(key)

    def fleets(self) -> list[tuple[str, str]]:
        """Return env and service of the fleets that the resources observe, as Datadog stores them."""
        specs = (mapping(resource.get("spec")) for resource in self._resources.all())
        return [
            service_of(env=text(spec.get("env")), service=text(spec.get("service")))
            for spec in specs
        ]

    def start(self) -> None:
        """Queue all resources, because this replica leads from now on."""
        self._queue.open()
        for key in self._resources:
            self._queue.add(key)

    async def run(self) -> None:
        """Run the workers until canceled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.rollouts.run(), name="rollouts")
            group.create_task(self.absences.run(), name="absences")
            for number in range(WORKERS):
                working = run_worker(self._queue, self.passes.reconcile)
                group.create_task(working, name=f"observability-{number}")

    def close(self) -> None:
        """Cancel all delayed keys."""
        self._queue.close()


def build_controller(
    cluster: KubeClient,
    access: DatadogAccess,
    hooks: MetricHooks,
    fleet: CachedFleet,
    times: Times,
) -> ObservabilityController:
    """Return the controller with all its parts."""

    def client(url: str, keys: Keys) -> HttpDatadogClient:
        return HttpDatadogClient(Transport(access.session, url, keys, on_request=hooks.request))

    resources = ResourceCache()
    datadog = OpenDatadog(open=client, urls=access.urls)
    reconciler = ObservabilityReconciler(cluster, resources, datadog, now=times.now, fleet=fleet)
    passes = TimedReconciler(reconciler.reconcile, clock=times.clock, on_pass_end=hooks.end_of_pass)
    queue = WorkQueue[NamespacedName](jitter=random.random, clock=times.clock, is_open=False)
    return ObservabilityController(resources, queue, passes, fleet, now=times.now)

"""PurpleFleaObservability at work: watch events, sweeps, a queue and workers of its own, beside those of the agents.

A slow or broken Datadog holds up nothing but this. What a pass does is the synchroniser's business.
"""

import asyncio
import logging
import random
from dataclasses import dataclass

import aiohttp

from purpleflea_operator.controllers.observability.deployment_reporter import Fleet
from purpleflea_operator.controllers.observability.reconciler import (
    ObservabilityReconciler,
    OpenDatadog,
)
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.controllers.observability.rollout_watch import RolloutWatch
from purpleflea_operator.datadog.client.client import HttpDatadogClient
from purpleflea_operator.datadog.client.transport import Keys, Told, Transport
from purpleflea_operator.kube import errors
from purpleflea_operator.kube import resources as kube_resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, resource_version
from purpleflea_operator.runtime.containment import Containment, check_identity, uids
from purpleflea_operator.runtime.workers import PassEndHook, TimedReconciler, Times, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

SWEEP_DELAY_S = 3.0
WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DatadogAccess:
    """The session that talks to Datadog, and the URLs besides Datadog's own that keys may be sent to."""

    session: aiohttp.ClientSession
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHooks:
    """Who counts requests to Datadog, and passes."""

    request: Told
    end_of_pass: PassEndHook


class ObservabilityController:
    """Keeps the resources current and works on them."""

    def __init__(
        self,
        cluster: KubeClient,
        resources: ResourceCache,
        queue: WorkQueue[NamespacedName],
        passes: TimedReconciler,
        fleet: Fleet,
    ) -> None:
        self.rollouts = RolloutWatch(resources, fleet, queue)
        self.watched: tuple[ResourceKind, ...] = (kube_resources.OBSERVABILITY,)
        self._cluster = cluster
        self._resources = resources
        self._queue = queue
        self.passes = passes
        self._containment = Containment()
        self._sweeps: WorkQueue[ResourceKind] = WorkQueue(jitter=lambda: 0.0)

    async def prime(self) -> None:
        """Read the resources before any is worked on. Without their CRD there are none, and nothing is watched.

        Raises:
            ApiError: They could not be listed.
        """
        try:
            await self._list()
        except errors.NotFound:
            self.watched = ()
            logger.warning(
                "PurpleFleaObservability is not installed: apply crds/ and restart the operator"
            )

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """TryAcquire in one watch event; an object that cannot be read is left out."""
        if event_type is None:
            self._sweeps.add_after(kind, SWEEP_DELAY_S)
        with self._containment.of(kind, manifest):
            self._take_in(event_type, manifest)

    def _take_in(self, event_type: str | None, manifest: Manifest) -> None:
        check_identity(manifest)
        metadata = manifest["metadata"]
        key = NamespacedName(metadata["namespace"], metadata["name"])
        if event_type == "DELETED":
            self._resources.drop(key, metadata["uid"])
            self._queue.add(key)
        elif self._resources.see(manifest):
            self._queue.add(key)

    async def run(self) -> None:
        """Work, and sweep, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_forever(), name="observability-sweeps")
            group.create_task(self.rollouts.run(), name="rollouts")
            for number in range(WORKERS):
                working = run_worker(self._queue, self.passes.reconcile)
                group.create_task(working, name=f"observability-{number}")

    async def _list(self) -> None:
        found, version = await self._cluster.list_all(kube_resources.OBSERVABILITY)
        for manifest in found:
            self.on_event(kube_resources.OBSERVABILITY, "MODIFIED", manifest)
        self._resources.keep_only(uids(found), version=resource_version(version))

    async def _sweep_forever(self) -> None:
        while True:
            kind = await self._sweeps.get()
            try:
                await self._list()
            except errors.ApiError as error:
                logger.warning("sweeping is tried again", extra={"error": str(error)})
                self._sweeps.add_rate_limited(kind, hold_s=error.retry_after_s)
            finally:
                self._sweeps.done(kind)

    def close(self) -> None:
        """Cancel all delays."""
        self._queue.close()
        self._sweeps.close()


def build_controller(
    cluster: KubeClient,
    reach: DatadogAccess,
    telling: MetricHooks,
    fleet: Fleet,
    times: Times,
) -> ObservabilityController:
    """All parts, put together."""

    def organisation(url: str, keys: Keys) -> HttpDatadogClient:
        return HttpDatadogClient(Transport(reach.session, url, keys, tell=telling.request))

    resources = ResourceCache()
    access = OpenDatadog(open=organisation, urls=reach.urls)
    synchroniser = ObservabilityReconciler(cluster, resources, access, now=times.now, fleet=fleet)
    passes = TimedReconciler(
        synchroniser.reconcile, clock=times.clock, on_pass_end=telling.end_of_pass
    )
    queue = WorkQueue[NamespacedName](jitter=random.random, clock=times.clock)
    return ObservabilityController(cluster, resources, queue, passes, fleet)

"""Queues a resource soon after an agent of its service is stopped, removed, replaced or started. It needs no requests.

Changes are collected for half a minute, which is well below the window of the heartbeat monitor. So a rollout that ends
within this time costs no request, and a rollout of a whole fleet costs two passes per minute.
"""

from collections.abc import Callable
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.controllers.observability.downtime_reporter import sets_downtimes
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.controllers.observability.service_watch import ServiceWatch
from purpleflea_operator.kube import resources as kube_resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workqueue import WorkQueue


class AbsenceWatch(ServiceWatch):
    """Watches all agents and their pods through its `on_...` methods."""

    def __init__(
        self,
        resources: ResourceCache,
        fleet: CachedFleet,
        queue: WorkQueue[NamespacedName],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(
            resources,
            queue,
            lambda spec, _status: sets_downtimes(spec),
            gather_s=timings.ABSENCE_GATHER_S,
        )
        self._index = fleet.absence_index
        self._now = now

    def on_agent(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Process an agent at O(1). Objects of other kinds are ignored."""
        if kind is kube_resources.AGENT:
            self.note(self._index.upsert(manifest, self._now()))

    def on_pod(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Process a pod of an agent at O(1). Objects of other kinds are ignored."""
        if kind is kube_resources.POD:
            self.note(self._index.upsert_pod(manifest, self._now()))

    def on_pod_deleted(self, key: NamespacedName) -> None:
        """Process the deletion of a pod of an agent at O(1)."""
        self.note(self._index.delete_pod(f"{key.namespace}/{key.name}"))

    def on_agent_deleted(self, key: NamespacedName) -> None:
        """Process the deletion of an agent at O(1)."""
        self.note(self._index.delete(f"{key.namespace}/{key.name}", self._now()))

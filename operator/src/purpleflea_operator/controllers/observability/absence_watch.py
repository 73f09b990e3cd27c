"""Queues a resource soon after an agent of its service is stopped, removed, replaced or started. It needs no requests.

Changes are collected for half a minute, which is well below the window of the heartbeat monitor. So a rollout that ends
within this time costs no request, and a rollout of a whole fleet costs two passes per minute.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from purpleflea_operator import timings
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    ServiceKey,
    service_of,
)
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.controllers.observability.downtime_reporter import sets_downtimes
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.kube import resources as kube_resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workqueue import WorkQueue


class AbsenceWatch:
    """Watches all agents and their pods through its `on_...` methods."""

    def __init__(
        self,
        resources: ResourceCache,
        fleet: CachedFleet,
        queue: WorkQueue[NamespacedName],
        now: Callable[[], datetime],
    ) -> None:
        self._resources = resources
        self._index = fleet.absence_index
        self._queue = queue
        self._now = now
        self._changed: set[ServiceKey] = set()
        self._has_changed = asyncio.Event()

    def on_agent(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Process an agent at O(1). Objects of other kinds are ignored."""
        if kind is kube_resources.AGENT:
            self._note(self._index.upsert(manifest, self._now()))

    def on_pod(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Process a pod of an agent at O(1). Objects of other kinds are ignored."""
        if kind is kube_resources.POD:
            self._note(self._index.upsert_pod(manifest, self._now()))

    def on_pod_deleted(self, key: NamespacedName) -> None:
        """Process the deletion of a pod of an agent at O(1)."""
        self._note(self._index.delete_pod(f"{key.namespace}/{key.name}"))

    def on_agent_deleted(self, key: NamespacedName) -> None:
        """Process the deletion of an agent at O(1)."""
        self._note(self._index.delete(f"{key.namespace}/{key.name}", self._now()))

    def _note(self, services: frozenset[ServiceKey]) -> None:
        if services:
            self._changed |= services
            self._has_changed.set()

    async def run(self) -> None:
        """Queue resources whose downtimes may have to change, until canceled."""
        while True:
            await self._has_changed.wait()
            await asyncio.sleep(timings.ABSENCE_GATHER_S)
            self._has_changed.clear()
            changed, self._changed = self._changed, set()
            for key in self._resources:
                if self._is_due(key, changed):
                    self._queue.add(key)

    def _is_due(self, key: NamespacedName, changed: set[ServiceKey]) -> bool:
        resource = self._resources.get(key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            return False
        try:
            spec = ObservabilitySpec.model_validate(resource["spec"])
        except ValidationError:
            return False
        is_changed = service_of(env=spec.env, service=spec.service) in changed
        return is_changed and sets_downtimes(spec)

"""Queues a resource soon after a version of its service is rolled out. It needs no requests.

Changes of StatefulSets come in bursts, so they are collected for a few seconds and processed together. Only services
whose versions have changed are looked at.
"""

import asyncio

from pydantic import ValidationError

from purpleflea_operator import timings
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability import deployment_reporter
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    ServiceKey,
    service_of,
)
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workqueue import WorkQueue


class RolloutWatch:
    """Watches the StatefulSets of all agents through `observe`."""

    def __init__(
        self, resources: ResourceCache, fleet: CachedFleet, queue: WorkQueue[NamespacedName]
    ) -> None:
        self._resources = resources
        self._fleet = fleet
        self._queue = queue
        self._changed: set[ServiceKey] = set()
        self._has_changed = asyncio.Event()

    def observe(self, uid: str, manifest: Manifest | None) -> None:
        """Process the StatefulSet of an agent, or its deletion, at O(1)."""
        index = self._fleet.index
        self._changed |= index.delete(uid) if manifest is None else index.upsert(manifest)
        if self._changed:
            self._has_changed.set()

    async def run(self) -> None:
        """Queue resources whose deployments are due, until canceled."""
        while True:
            await self._has_changed.wait()
            await asyncio.sleep(timings.ROLLOUT_GATHER_S)
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
        if service_of(env=spec.env, service=spec.service) not in changed:
            return False
        return deployment_reporter.is_due(spec, resource.get("status") or {}, self._fleet)

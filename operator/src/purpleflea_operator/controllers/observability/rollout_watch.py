"""Queues a resource soon after a version of its service is rolled out. It needs no requests.

Changes of StatefulSets come in bursts, so they are collected for a few seconds and processed together. Without changes
there is no work.
"""

import asyncio

from pydantic import ValidationError

from purpleflea_operator import timings
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability import deployment_reporter
from purpleflea_operator.controllers.observability.deployment_reporter import Fleet
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.workqueue import WorkQueue


class RolloutWatch:
    """Watches the StatefulSets of all agents through `notify`."""

    def __init__(
        self, resources: ResourceCache, fleet: Fleet, queue: WorkQueue[NamespacedName]
    ) -> None:
        self._resources = resources
        self._fleet = fleet
        self._queue = queue
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Signal that a StatefulSet has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Queue resources whose deployments are due, until canceled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(timings.ROLLOUT_GATHER_S)
            self._changed.clear()
            due = [key for key in self._resources if self._is_due(key)]
            for key in due:
                self._queue.add(key)

    def _is_due(self, key: NamespacedName) -> bool:
        resource = self._resources.get(key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            return False
        try:
            spec = ObservabilitySpec.model_validate(resource["spec"])
        except ValidationError:
            return False
        return deployment_reporter.is_due(spec, resource.get("status") or {}, self._fleet)

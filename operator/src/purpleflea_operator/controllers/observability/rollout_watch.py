"""Sees to it that a resource gets a pass soon after a version of its service is rolled out. It asks nobody.

Changes of workloads come in crowds: they are looked at together, once every few seconds, and not at all while nothing
changes.
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
    """Follows the workloads of all agents."""

    def __init__(
        self, resources: ResourceCache, fleet: Fleet, queue: WorkQueue[NamespacedName]
    ) -> None:
        self._resources = resources
        self._fleet = fleet
        self._queue = queue
        self._changed = asyncio.Event()

    def note(self) -> None:
        """A workload changed."""
        self._changed.set()

    async def run(self) -> None:
        """Follow, until cancelled."""
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

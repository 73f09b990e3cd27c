"""Queues a resource soon after a version of its service is rolled out."""

from purpleflea_operator import timings
from purpleflea_operator.controllers.observability import deployment_reporter
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.controllers.observability.service_watch import ServiceWatch
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workqueue import WorkQueue


class RolloutWatch(ServiceWatch):
    """Watches the StatefulSets of all agents through `observe`."""

    def __init__(
        self, resources: ResourceCache, fleet: CachedFleet, queue: WorkQueue[NamespacedName]
    ) -> None:
        super().__init__(
            resources,
            queue,
            lambda spec, status: deployment_reporter.is_due(spec, dict(status), fleet),
            gather_s=timings.ROLLOUT_GATHER_S,
        )
        self._index = fleet.index

    def observe(self, uid: str, manifest: Manifest | None) -> None:
        """Process the StatefulSet of an agent, or its deletion, at O(1)."""
        index = self._index
        self.note(index.delete(uid) if manifest is None else index.upsert(manifest))

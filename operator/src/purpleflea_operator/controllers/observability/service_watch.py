"""Collects the services whose agents have changed, and queues the resources of these services together.

Changes come in bursts, so they are collected for some seconds. Only the resources of services that changed are looked
at, and no request is sent.
"""

import asyncio
from collections.abc import Callable

from pydantic import ValidationError

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    ServiceKey,
    service_of,
)
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest, mapping
from purpleflea_operator.runtime.workqueue import WorkQueue

IsDue = Callable[[ObservabilitySpec, Manifest], bool]
"""Returns whether a resource with this spec and this status must be processed after a change of its service."""


class ServiceWatch:
    """The services that have changed. Changes are collected for `gather_s` seconds."""

    def __init__(
        self,
        resources: ResourceCache,
        queue: WorkQueue[NamespacedName],
        is_due: IsDue,
        *,
        gather_s: float,
    ) -> None:
        self._resources = resources
        self._queue = queue
        self._is_due = is_due
        self._gather_s = gather_s
        self._changed: set[ServiceKey] = set()
        self._has_changed = asyncio.Event()

    def note(self, services: frozenset[ServiceKey]) -> None:
        """Add services that have changed, at O(1)."""
        if services:
            self._changed |= services
            self._has_changed.set()

    async def run(self) -> None:
        """Queue the resources that are due, until canceled."""
        while True:
            await self._has_changed.wait()
            await asyncio.sleep(self._gather_s)
            self._has_changed.clear()
            changed, self._changed = self._changed, set()
            for key in self._resources:
                if self._must_look(key, changed):
                    self._queue.add(key)

    def _must_look(self, key: NamespacedName, changed: set[ServiceKey]) -> bool:
        resource = self._resources.get(key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            return False
        try:
            spec = ObservabilitySpec.model_validate(resource["spec"])
        except ValidationError:
            return False
        is_changed = service_of(env=spec.env, service=spec.service) in changed
        return is_changed and self._is_due(spec, mapping(resource.get("status")))

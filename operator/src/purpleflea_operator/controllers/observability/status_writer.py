"""Writes of one PurpleFleaObservability to Kubernetes: status, Events, finalizer. The content is decided elsewhere."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.observability.decisions import status as status_decisions
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRegistry
from purpleflea_operator.controllers.observability.decisions.status import SyncState
from purpleflea_operator.controllers.observability.resource_cache import Resource, ResourceCache
from purpleflea_operator.kube import errors
from purpleflea_operator.kube import resources as kube_resources
from purpleflea_operator.kube.events import Event, event_manifest
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef

FINALIZER = f"{kubernetes.GROUP}/datadog"

logger = logging.getLogger(__name__)


class ResourceWriter:
    """Writes one resource, and keeps the stored version that the API server returns."""

    def __init__(
        self,
        cluster: KubeClient,
        resources: ResourceCache,
        resource: Resource,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._resources = resources
        self.resource = resource
        self._now = now
        metadata = resource["metadata"]
        self._ref = ObjectRef(
            kind=kube_resources.OBSERVABILITY,
            namespace=metadata["namespace"],
            name=metadata["name"],
        )

    @property
    def uid(self) -> str:
        """Uid of the resource."""
        return str(self.resource["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        """Namespace of the resource."""
        return self._ref.namespace

    @property
    def generation(self) -> int:
        """metadata.generation of the resource."""
        return int(self.resource["metadata"].get("generation", 0))

    @property
    def status(self) -> dict[str, Any]:
        """Last known status."""
        return self.resource.get("status") or {}

    @property
    def finalizers(self) -> tuple[str, ...]:
        """Last known finalizers."""
        return tuple(self.resource["metadata"].get("finalizers") or ())

    def deleting_s(self) -> float | None:
        """Return the seconds since the deletion of the resource, None if it is not being deleted."""
        timestamp = self.resource["metadata"].get("deletionTimestamp")
        if timestamp is None:
            return None
        return self.elapsed_s(timestamp)

    def removal_started_at(self) -> str:
        """Return the time of the first attempt to remove all objects: from the status, otherwise now."""
        recorded = self.status.get("removalStartedAt")
        return str(recorded) if recorded else self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def elapsed_s(self, since: str) -> float:
        """Return the seconds since a timestamp of a manifest."""
        return (self._now() - datetime.fromisoformat(since)).total_seconds()

    async def patch_status(self, registry: ObjectRegistry, sync_state: SyncState) -> None:
        """Write the status if it differs from the last known one."""
        updated = status_decisions.next_status(self.status, registry, sync_state, self._now())
        if updated == self.status:
            return
        stored = await self._cluster.apply_status(
            {
                "apiVersion": kubernetes.API_VERSION,
                "kind": kube_resources.OBSERVABILITY.kind,
                # With the uid, the API server rejects the status if the resource was recreated meanwhile.
                "metadata": {
                    "name": self._ref.name,
                    "namespace": self._ref.namespace,
                    "uid": self.uid,
                },
                "status": updated,
            }
        )
        self._store(stored)

    async def set_finalizer(self, *, present: bool) -> None:
        """Add or remove the finalizer.

        Raises:
            Conflict: The API server has a newer version of the resource. The watch delivers it.
        """
        if present == (FINALIZER in self.finalizers):
            return
        others = [item for item in self.finalizers if item != FINALIZER]
        version = self.resource["metadata"]["resourceVersion"]
        try:
            stored = await self._cluster.set_finalizers(
                self._ref, [*others, FINALIZER] if present else others, version=version
            )
        except errors.NotFound:
            return
        self._store(stored)

    async def emit_events(self, events: Iterable[Event]) -> None:
        """Log and post Events. A rejected Event is ignored, because a terminating namespace accepts none."""
        for event in events:
            logger.log(
                logging.INFO if event.type == "Normal" else logging.WARNING,
                "observability",
                extra={
                    "namespace": self._ref.namespace,
                    "resource": self._ref.name,
                    "reason": event.reason,
                    "detail": event.message,
                },
            )
            try:
                await self._cluster.create_event(event_manifest(self.resource, event, self._now()))
            except errors.Fenced:
                raise
            except errors.ApiError as error:
                logger.warning("posting an Event failed", extra={"error": str(error)})

    def _store(self, stored: Any) -> None:
        header = {"apiVersion": kubernetes.API_VERSION, "kind": kube_resources.OBSERVABILITY.kind}
        self.resource = {**header, **stored}
        self._resources.store(self.resource)

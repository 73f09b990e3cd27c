"""All that is written to Kubernetes about one resource: status, Events, finalizer. It decides nothing of them."""

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
    """Writes about one resource."""

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
    def status(self) -> dict[str, Any]:
        """The status as it stands."""
        return self.resource.get("status") or {}

    @property
    def finalizers(self) -> tuple[str, ...]:
        """The finalizers as they stand."""
        return tuple(self.resource["metadata"].get("finalizers") or ())

    def deleted_s(self) -> float | None:
        """For how long the resource is being deleted; None where it is not."""
        moment = self.resource["metadata"].get("deletionTimestamp")
        if moment is None:
            return None
        return self.passed_s(moment)

    def removal_since(self) -> str:
        """When removing everything was first tried: as the status says, else now."""
        known = self.status.get("removalStartedAt")
        return str(known) if known else self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def passed_s(self, since: str) -> float:
        """Seconds since a moment in a manifest."""
        return (self._now() - datetime.fromisoformat(since)).total_seconds()

    async def write(self, memory: ObjectRegistry, standing: SyncState) -> None:
        """Write the status, where it differs from what stands."""
        wanted = status_decisions.next_status(self.status, memory, standing, self._now())
        if wanted == self.status:
            return
        stored = await self._cluster.apply_status(
            {
                "apiVersion": kubernetes.API_VERSION,
                "kind": kube_resources.OBSERVABILITY.kind,
                # The uid makes a status of a former incarnation bounce off the new one.
                "metadata": {
                    "name": self._ref.name,
                    "namespace": self._ref.namespace,
                    "uid": self.uid,
                },
                "status": wanted,
            }
        )
        self._keep(stored)

    async def hold(self, *, wanted: bool) -> None:
        """Set the finalizer, or take it away.

        Raises:
            Conflict: A newer version is there than the one that is known; the watch brings it.
        """
        if wanted == (FINALIZER in self.finalizers):
            return
        others = [item for item in self.finalizers if item != FINALIZER]
        version = self.resource["metadata"]["resourceVersion"]
        try:
            stored = await self._cluster.set_finalizers(
                self._ref, [*others, FINALIZER] if wanted else others, version=version
            )
        except errors.NotFound:
            return
        self._keep(stored)

    async def tell(self, turns: Iterable[Event]) -> None:
        """Post Events. One that is refused (a namespace that ends takes none) hinders nothing."""
        for turn in turns:
            logger.log(
                logging.INFO if turn.type == "Normal" else logging.WARNING,
                "observability",
                extra={
                    "namespace": self._ref.namespace,
                    "resource": self._ref.name,
                    "reason": turn.reason,
                    "detail": turn.message,
                },
            )
            try:
                await self._cluster.create_event(event_manifest(self.resource, turn, self._now()))
            except errors.Fenced:
                raise
            except errors.ApiError as error:
                logger.warning("the Event is not posted", extra={"error": str(error)})

    def _keep(self, stored: Any) -> None:
        header = {"apiVersion": kubernetes.API_VERSION, "kind": kube_resources.OBSERVABILITY.kind}
        self.resource = {**header, **stored}
        self._resources.keep(self.resource)

"""Reads the pods of an agent that gave up its identity, before another agent starts with it.

The cache may miss pods, because a watch can be behind without an error. A read costs three requests, and only an agent
whose identity lived in another namespace before needs one. If a read fails, the agent is not started, and the read is
repeated with backoff.
"""

import logging
from collections.abc import Callable

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.agent.decisions import gather
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    IdentityKey,
    has_identity_without_labels,
)
from purpleflea_operator.controllers.agent.identity_holders import IdentityHolders
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef, ResourceKind
from purpleflea_operator.manifests.metadata import selector
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)


class IdentityReads:
    """The reads for all agents. `on_object` receives each object that was read, as the object of a list."""

    def __init__(
        self,
        cluster: KubeClient,
        holders: IdentityHolders,
        on_object: Callable[[ResourceKind, str | None, Manifest], None],
    ) -> None:
        self._cluster = cluster
        self._holders = holders
        self._on_object = on_object

    async def confirm(self, key: NamespacedName) -> None:
        """Read the pods that an agent has to wait for, unless the cache has some of them."""
        while (found := self._holders.to_read(key)) is not None:
            await self._read(*found)

    async def _read(self, identity: IdentityKey, namespace: str) -> None:
        former = self._holders.former
        try:
            is_hidden = await self._read_objects(identity, namespace)
        except errors.ApiError as error:
            former.postpone(identity, namespace, str(error))
            fields = {"namespace": namespace, "agent": identity[0], "error": str(error)}
            logger.warning("previous pods of an identity could not be read; retrying", extra=fields)
            return
        if is_hidden:
            former.postpone(identity, namespace)
        elif self._holders.are_pods_gone(identity, namespace):
            former.discard(identity, namespace)

    async def _read_objects(self, identity: IdentityKey, namespace: str) -> bool:
        """Read StatefulSets, then pods, so that no pod is created in between. Return whether a hidden pod was found.

        A pod that lost its labels is not watched, and no list by label has it.
        """
        labels = ",".join(f"{key}={value}" for key, value in selector(identity[0]).items())
        for kind in (resources.STATEFUL_SET, resources.POD):
            for manifest in await self._cluster.list_in(kind, namespace, selector=labels):
                self._on_object(kind, None, manifest)
        first = ObjectRef(kind=resources.POD, namespace=namespace, name=f"{identity[0]}-0")
        pod = await self._cluster.find(first)
        if pod is None or not gather.is_identity(pod, identity[0]):
            return False
        lacks_labels = kubernetes.LABEL_INSTANCE not in pod["metadata"].get("labels", {})
        return lacks_labels and has_identity_without_labels(pod, identity)

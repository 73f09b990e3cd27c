"""Reads the pods of an agent that gave up its identity, before another agent starts with it.

The cache may miss pods, because a watch can be behind without an error, or a label was removed. A read costs three
requests, and only an agent whose identity lived in another namespace before needs one. If a read fails, the agent is
not started, and the read is repeated with backoff.
"""

import logging
from collections.abc import Callable

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.agent.decisions import gather
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    IdentityKey,
    has_identity_without_labels,
    may_have_pods,
)
from purpleflea_operator.controllers.agent.identity_holders import IdentityHolders
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef, ResourceKind
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
        """Read the StatefulSet, then pods, so that no pod is created in between. Return whether a hidden one was found.

        The StatefulSet has the name of the agent. A pod can have lost any of its labels, and any ordinal.
        """
        name, label = identity[0], kubernetes.LABEL_INSTANCE
        ref = ObjectRef(kind=resources.STATEFUL_SET, namespace=namespace, name=name)
        workload = await self._cluster.find(ref)
        found = [] if workload is None or not gather.is_of_agent(workload) else [workload]
        for selector in (f"{label}={name}", f"!{label}"):
            pods = await self._cluster.list_in(resources.POD, namespace, selector=selector)
            found += [item for item in pods if gather.is_identity(item, name)]
        for manifest in found:
            if gather.is_watched(manifest, name):
                self._on_object(resources.kind_of(manifest), None, manifest)
        hidden = (item for item in found if not gather.is_watched(item, name))
        return any(_may_have_identity(item, identity) for item in hidden)


def _may_have_identity(hidden: Manifest, identity: IdentityKey) -> bool:
    """Return whether an object without some labels is a pod with an identity, or a StatefulSet that can create one."""
    if hidden["kind"] == resources.STATEFUL_SET.kind:
        return may_have_pods(hidden)
    return has_identity_without_labels(hidden, identity)

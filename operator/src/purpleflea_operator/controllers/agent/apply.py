"""Performs planned writes, in order, and keeps the cache true to what was stored. It decides nothing but what the API
server alone knows: whether the owner still lives, and whose a name is.

What the operator does to pods itself: it touches them when their control file changed, and ends those nobody else
would end.

It never makes one, and ends one that has an owner only where the StatefulSet is not able to.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.gather import is_owned
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    Pod,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.plan import RefreshConfigMount
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef, ref_of
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)


class OwnerGoneError(Exception):
    """The agent was deleted; the cache has not heard of it yet."""


class NameTakenError(Exception):
    """An object of that name belongs to somebody else."""


@dataclass(slots=True, kw_only=True)
class ApplyContext:
    """What is done for one agent resource in one pass, and how far it came."""

    key: NamespacedName
    uid: str
    live: dict[Any, Any]
    """Its children as they stand; kept current."""
    growth_refused: str = ""
    stumbles: list[errors.Transient] = field(default_factory=list)
    """What failed and did not keep the rest from being done."""


class Applier:
    """Turns actions into requests."""

    def __init__(self, cluster: KubeClient, cache: ObjectCache, growth: VolumeExpansion) -> None:
        self._cluster = cluster
        self._cache = cache
        self._growth = growth

    async def perform(self, actions: Sequence[plan.Action], work: ApplyContext) -> None:
        """Perform all actions.

        Raises:
            OwnerGoneError: Nothing may be made any more.
            NameTakenError: A child cannot be made.
            ApiError: A write failed; those after it were not tried.
        """
        if any(isinstance(action, plan.Create) for action in actions):
            await self._confirm(work)
        for kind, group in itertools.groupby(actions, key=type):
            if kind is plan.RefreshConfigMount:
                await self._nudge(group, work)
            elif kind is plan.ExpandVolume:
                growths = [action for action in group if isinstance(action, plan.ExpandVolume)]
                work.growth_refused = await self._growth.grow(growths, work.key)
            else:
                for action in group:
                    await self._perform(action, work)

    async def _nudge(self, group: Iterable[plan.Action], work: ApplyContext) -> None:
        nudges = [action for action in group if isinstance(action, plan.RefreshConfigMount)]
        try:
            await refresh_config_mount(self._cluster, work.key.namespace, nudges)
        except errors.Transient as error:
            # One pod that cannot be touched keeps neither the others nor the workload from being told.
            work.stumbles.append(error)

    async def _confirm(self, work: ApplyContext) -> None:
        """Ask whether the agent still lives before anything is made for it.

        Its children may be seen gone before it is: making them anew would start pods of a deleted agent.
        """
        ref = ObjectRef(kind=resources.AGENT, namespace=work.key.namespace, name=work.key.name)
        found = await self._cluster.get(ref)
        metadata = {} if found is None else found["metadata"]
        if metadata.get("uid") != work.uid or "deletionTimestamp" in metadata:
            raise OwnerGoneError

    async def _perform(self, action: plan.Action, work: ApplyContext) -> None:
        match action:
            case plan.Create(manifest=manifest):
                await self._create(manifest, work)
            case plan.Apply(manifest=manifest):
                await self._apply(manifest, work)
            case plan.Delete(manifest=manifest):
                await self._cluster.delete(ref_of(manifest), uid=manifest["metadata"]["uid"])
                self._cache.drop(resources.kind_of(manifest), manifest["metadata"]["uid"])
                work.live.pop(plan.child_id(manifest))
                _log("deleted", manifest)
            case plan.DeletePod(pod=old):
                await end(self._cluster, work.key.namespace, old)
            case plan.RecreateOrphaning(manifest=manifest):
                uid = manifest["metadata"]["uid"]
                if await self._cluster.delete(ref_of(manifest), uid=uid, orphan=True):
                    self._cache.bury(resources.kind_of(manifest), uid)
                work.live.pop(plan.child_id(manifest))
                _log("to be made anew around its pods", manifest)

    async def _create(self, manifest: Manifest, work: ApplyContext) -> None:
        """Apply a child that the cache does not know, but never over an object of somebody else."""
        existing = await self._cluster.get(ref_of(manifest))
        if existing is not None:
            _check(existing, work)
            if plan.is_as_desired(manifest, existing):
                self._cache.put(existing)
                work.live[plan.child_id(manifest)] = existing
                return
        await self._apply(manifest, work)

    async def _apply(self, manifest: Manifest, work: ApplyContext) -> None:
        stored = await self._cluster.apply(manifest)
        self._cache.put(stored)
        work.live[plan.child_id(manifest)] = stored
        _log("applied", manifest)


def _check(existing: Manifest, work: ApplyContext) -> None:
    """See that an object of a child's name may be applied over."""
    what = f"{existing['kind']} {existing['metadata']['name']}"
    if "deletionTimestamp" in existing["metadata"]:
        raise errors.Conflict(f"{what} is still being deleted")
    if is_owned(existing, work.uid):
        return
    owners = existing["metadata"].get("ownerReferences", [])
    if any(
        (item["kind"], item["name"]) == (resources.AGENT.kind, work.key.name) for item in owners
    ):
        # Deleted and made again under its name: the garbage collector is on its way.
        raise errors.Conflict(f"{what} of the agent's former self is not removed yet")
    raise NameTakenError(
        f"{what} exists and belongs to somebody else; rename the agent or remove that object"
    )


def _log(message: str, manifest: Manifest) -> None:
    metadata, kind = manifest["metadata"], manifest["kind"]
    where = {"namespace": metadata["namespace"], "object": metadata["name"]}
    logger.info(message, extra={**where, "kind": kind})


AT_ONCE = 16
"""Of the 32 connections to the API server: an order to halt must not wait for pods one by one."""


async def refresh_config_mount(
    cluster: KubeClient, namespace: str, actions: Sequence[RefreshConfigMount]
) -> None:
    """Have the kubelets refresh the mounted control file of these pods; one that is gone needs none."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(action: RefreshConfigMount) -> None:
        ref = ObjectRef(kind=resources.POD, namespace=namespace, name=action.pod.name)
        async with turns:
            try:
                await cluster.annotate(ref, {CONTROL_ANNOTATION: action.word})
            except errors.NotFound:
                return
        logger.info("nudged", extra={"pod": action.pod.name, "mode": action.word})

    for result in await asyncio.gather(*map(one, actions), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def delete_orphans(cluster: KubeClient, cache: ObjectCache, key: NamespacedName) -> None:
    """DeletePod pods of an agent that is gone, and that nobody else would end.

    While a StatefulSet is made anew its pods belong to nobody; an agent deleted in that moment leaves them behind.
    """
    left = [pod(item) for item in cache.owned(resources.POD, key)]
    orphans = [item for item in left if not item.is_controlled and not item.deleting]
    agent = ObjectRef(kind=resources.AGENT, namespace=key.namespace, name=key.name)
    if not orphans or await cluster.get(agent) is not None:
        return
    for item in orphans:
        await end(cluster, key.namespace, item)


async def end(cluster: KubeClient, namespace: str, item: Pod) -> None:
    """DeletePod exactly this pod."""
    await cluster.delete(
        ObjectRef(kind=resources.POD, namespace=namespace, name=item.name), uid=item.uid
    )
    logger.info("pod ended", extra={"namespace": namespace, "pod": item.name})

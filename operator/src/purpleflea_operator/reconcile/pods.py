"""What the operator does to pods itself: it touches them when their control file changed, and ends those nobody else
would end.

It never makes one, and ends one that has an owner only where the StatefulSet is not able to.
"""

import asyncio
import logging
from collections.abc import Sequence

from purpleflea_operator.cluster import errors, kinds
from purpleflea_operator.cluster.cache import Cache, Key
from purpleflea_operator.cluster.kinds import Ref
from purpleflea_operator.cluster.port import Cluster
from purpleflea_operator.reconcile.plan import Nudge
from purpleflea_operator.reconcile.world import CONTROL_ANNOTATION, Pod, pod

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Of the 32 connections to the API server: an order to halt must not wait for pods one by one."""


async def nudge(cluster: Cluster, namespace: str, actions: Sequence[Nudge]) -> None:
    """Have the kubelets refresh the mounted control file of these pods; one that is gone needs none."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(action: Nudge) -> None:
        ref = Ref(kind=kinds.POD, namespace=namespace, name=action.pod.name)
        async with turns:
            try:
                await cluster.annotate(ref, {CONTROL_ANNOTATION: action.word})
            except errors.NotFound:
                return
        logger.info("nudged", extra={"pod": action.pod.name, "mode": action.word})

    for result in await asyncio.gather(*map(one, actions), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def end_orphans(cluster: Cluster, cache: Cache, key: Key) -> None:
    """End pods of an agent that is gone, and that nobody else would end.

    While a StatefulSet is made anew its pods belong to nobody; an agent deleted in that moment leaves them behind.
    """
    left = [pod(item) for item in cache.owned(kinds.POD, key)]
    orphans = [item for item in left if not item.is_controlled and not item.deleting]
    agent = Ref(kind=kinds.AGENT, namespace=key.namespace, name=key.name)
    if not orphans or await cluster.get(agent) is not None:
        return
    for item in orphans:
        await end(cluster, key.namespace, item)


async def end(cluster: Cluster, namespace: str, item: Pod) -> None:
    """End exactly this pod."""
    await cluster.delete(Ref(kind=kinds.POD, namespace=namespace, name=item.name), uid=item.uid)
    logger.info("pod ended", extra={"namespace": namespace, "pod": item.name})

"""Deletion of pods. The operator creates no pods, and deletes only those that no StatefulSet deletes or replaces."""

import logging

from purpleflea_operator.controllers.agent.decisions.gather import agent_pods
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, pod
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef

logger = logging.getLogger(__name__)


async def delete_orphans(cluster: KubeClient, cache: ObjectCache, key: NamespacedName) -> None:
    """Delete the pods of a deleted agent that have no owner.

    While a StatefulSet is recreated, its pods have no owner. If the agent is deleted at that moment, the garbage
    collector does not delete them.
    """
    pods = [pod(item) for item in agent_pods(cache, key)]
    orphans = [item for item in pods if not item.is_controlled and not item.deleting]
    agent = ObjectRef(kind=resources.AGENT, namespace=key.namespace, name=key.name)
    if not orphans or await cluster.get(agent) is not None:
        return
    for item in orphans:
        await delete_pod(cluster, key.namespace, item)


async def delete_pod(cluster: KubeClient, namespace: str, item: AgentPod) -> None:
    """Delete exactly this pod, with its UID as precondition."""
    ref = ObjectRef(kind=resources.POD, namespace=namespace, name=item.name)
    await cluster.delete(ref, uid=item.uid)
    logger.info("pod deleted", extra={"namespace": namespace, "pod": item.name})

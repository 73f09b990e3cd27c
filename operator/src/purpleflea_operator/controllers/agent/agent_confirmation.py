"""Reads agents before their mode is written, while the cache of a new leader may be outdated.

Such a cache may miss a change that the former leader has already applied, and a decision from it would undo the change.
"""

from purpleflea_contract.control import Control, Mode
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef


class AgentConfirmation:
    """Stores the newest version of an agent in the cache, while `is_required` is True."""

    def __init__(self, cluster: KubeClient, cache: ObjectCache) -> None:
        self._cluster = cluster
        self._cache = cache
        self.is_required = False

    async def exists(self, key: NamespacedName, requested: Control | None) -> bool:
        """Read an agent if that is required, and return whether it exists. A halt does not wait if the read fails.

        Raises:
            ApiError: The read failed, and the agent would resume.
        """
        if not self.is_required:
            return True
        ref = ObjectRef(kind=resources.AGENT, namespace=key.namespace, name=key.name)
        try:
            live = await self._cluster.get(ref)
        except errors.ApiError:
            if requested is None or requested.mode is Mode.ACTIVE:
                raise
            return True
        if live is not None:
            self._cache.put(live)
        return live is not None

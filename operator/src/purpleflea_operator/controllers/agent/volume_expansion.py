"""Expansion of volume claims. A rejected expansion is tried again after a delay, not on every event."""

from collections.abc import Callable
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory
from purpleflea_operator.controllers.agent.decisions.plan import ExpandVolume
from purpleflea_operator.controllers.agent.decisions.quantity import is_less
from purpleflea_operator.controllers.agent.decisions.remembered import ExpansionRejection
from purpleflea_operator.controllers.agent.decisions.storage import claim
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef

TEXT_LIMIT = 500


class VolumeExpansion:
    """Expands claims, each on its own."""

    def __init__(
        self, cluster: KubeClient, cache: ObjectCache, *, now: Callable[[], datetime]
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._now = now

    async def expand(self, action: ExpandVolume, namespace: str, memory: AgentMemory) -> str:
        """Expand a claim; returns why the API server rejected this, empty if it did not.

        Raises:
            Transient: The request failed and may succeed later.
        """
        ref = ObjectRef(kind=resources.CLAIM, namespace=namespace, name=action.claim.name)
        try:
            stored = await self._cluster.expand_volume(ref, action.size)
        except errors.NotFound:
            return ""
        except (errors.Forbidden, errors.Invalid) as error:
            text = str(error)[:TEXT_LIMIT]
            memory.expansion = ExpansionRejection(size=action.size, text=text, at=self._now())
            return text
        self._cache.put(stored)
        requested = claim(stored).requested
        if is_less(requested, action.size):
            # A webhook can change the size. Another attempt on every event would have the same result.
            text = f"the API server stores {requested}, so a webhook changes the size"
            memory.expansion = ExpansionRejection(size=action.size, text=text, at=self._now())
            return text
        return ""

    def requeue_after_s(self, memory: AgentMemory) -> float | None:
        """Return the seconds until a rejected expansion is tried again; None if none was rejected."""
        if memory.expansion is None:
            return None
        retry_at = memory.expansion.at + timings.VOLUME_EXPANSION_RETRY
        return max(0.0, (retry_at - self._now()).total_seconds())

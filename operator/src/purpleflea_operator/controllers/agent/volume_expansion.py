"""Expansion of volume claims. A rejected expansion is tried again with backoff, not on every event."""

from collections.abc import Callable

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory
from purpleflea_operator.controllers.agent.decisions.observed_state import PassOutcome
from purpleflea_operator.controllers.agent.decisions.plan import ExpandVolume
from purpleflea_operator.controllers.agent.decisions.quantity import is_less
from purpleflea_operator.controllers.agent.decisions.remembered import ExpansionRejection
from purpleflea_operator.controllers.agent.decisions.storage import claim
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef

TEXT_LIMIT = 500


class VolumeExpansion:
    """Expands claims, each on its own. `clock` returns monotonic seconds."""

    def __init__(
        self, cluster: KubeClient, cache: ObjectCache, *, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock

    async def perform(
        self, action: ExpandVolume, key: NamespacedName, memory: AgentMemory, outcome: PassOutcome
    ) -> None:
        """Expand a claim, and add the result to the outcome of the pass.

        Raises:
            Transient: The request failed and may succeed later.
        """
        error = await self.expand(action, key.namespace, memory)
        outcome.expansion_error = outcome.expansion_error or error
        if not outcome.expansion_error:
            memory.expansion = None
        # The event of the claim is not news for the cache, so no later pass would report the new size.
        outcome.claims = tuple(map(claim, self._cache.owned(resources.CLAIM, key)))

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
            return self._reject(action, str(error)[:TEXT_LIMIT], memory)
        self._cache.put(stored)
        requested = claim(stored).requested
        if is_less(requested, action.size):
            # A webhook can change the size. Another attempt on every event would have the same result.
            text = f"the API server stores {requested}, so a webhook changes the size"
            return self._reject(action, text, memory)
        return ""

    def _reject(self, action: ExpandVolume, text: str, memory: AgentMemory) -> str:
        """Remember a rejection. No event reports that the expansion would succeed now."""
        known, now_s = memory.expansion, self._clock()
        if known is not None and known.size != action.size:
            known = None
        if known is not None and now_s < known.due_s:
            # Another claim was rejected in the same pass, which is one attempt.
            return text
        attempts = 1 if known is None else known.attempts + 1
        delay_s = timings.REJECTED_RETRY_S * 2.0 ** min(attempts - 1, 16)
        memory.expansion = ExpansionRejection(
            size=action.size,
            text=text,
            attempts=attempts,
            due_s=now_s + min(timings.VOLUME_EXPANSION_RETRY_LIMIT_S, delay_s),
        )
        return text

    def requeue_after_s(self, memory: AgentMemory) -> float | None:
        """Return the seconds until a rejected expansion is tried again; None if none was rejected."""
        if memory.expansion is None:
            return None
        return max(0.0, memory.expansion.due_s - self._clock())

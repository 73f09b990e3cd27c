"""Lets volume claims grow, and remembers a refusal: it is tried again after a while, not on every event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.plan import ExpandVolume
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    size: str
    text: str
    at: datetime


class VolumeExpansion:
    """What came of letting claims grow, per agent resource."""

    def __init__(
        self, cluster: KubeClient, cache: ObjectCache, *, now: Callable[[], datetime]
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._now = now
        self._refused: dict[NamespacedName, _Refusal] = {}

    def forget(self, key: NamespacedName) -> None:
        """Forget a refusal."""
        self._refused.pop(key, None)

    def remembered(self, world: ObservedState, key: NamespacedName) -> ObservedState:
        """The world with a refusal that still counts."""
        refusal = self._refused.get(key)
        storage = None if world.agent is None else world.agent.spec.storage
        if refusal is None or storage is None or storage.size != refusal.size:
            self.forget(key)
            return world
        if self._now() - refusal.at >= timings.VOLUME_EXPANSION_RETRY:
            return world
        return replace(world, expansion_error=refusal.text)

    async def grow(self, actions: Sequence[ExpandVolume], key: NamespacedName) -> str:
        """Let claims grow, one by one; returns why the first was refused, empty where none was."""
        for action in actions:
            ref = ObjectRef(kind=resources.CLAIM, namespace=key.namespace, name=action.claim.name)
            try:
                self._cache.put(await self._cluster.expand_volume(ref, action.size))
            except errors.NotFound:
                continue
            except (errors.Forbidden, errors.Invalid) as error:
                text = str(error)[:500]
                self._refused[key] = _Refusal(size=action.size, text=text, at=self._now())
                return text
            self.forget(key)
        return ""

    def again_after_s(self, key: NamespacedName) -> float | None:
        """When a refusal is worth another try."""
        refusal = self._refused.get(key)
        if refusal is None:
            return None
        return max(0.0, (refusal.at + timings.VOLUME_EXPANSION_RETRY - self._now()).total_seconds())

"""Reads agents before their mode is written, while the cache of a new leader may be outdated.

Such a cache may miss a change that the former leader has already applied, and a decision from it would undo the change.
If an agent cannot be read, it is at most halted: a halt can be undone, but a stop or a flatten cannot.
"""

from collections.abc import Callable
from dataclasses import dataclass

from purpleflea_operator.controllers.agent.decisions import control
from purpleflea_operator.controllers.agent.decisions.control import ControlActions
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.parsing import Manifest

Decide = Callable[[ObservedState, Manifest | None], ControlActions]
"""Returns the writes that an agent needs, from its observed state and a write that may still be processed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """How the writes of an agent are decided."""

    decide: Decide
    error: errors.ApiError | None = None
    """The error of the read, if the agent could not be read."""


def _nothing(observed: ObservedState, unsettled: Manifest | None) -> ControlActions:
    """Return no writes, because the agent does not exist."""
    return ()


class AgentConfirmation:
    """Stores the newest version of an agent in the cache, while `is_required` is True."""

    def __init__(self, cluster: KubeClient, cache: ObjectCache) -> None:
        self._cluster = cluster
        self._cache = cache
        self.is_required = False

    async def of(self, key: NamespacedName) -> Confirmed:
        """Read an agent if that is required, and return how its writes are decided."""
        if not self.is_required:
            return Confirmed(decide=control.control_actions)
        ref = ObjectRef(kind=resources.AGENT, namespace=key.namespace, name=key.name)
        try:
            live = await self._cluster.get(ref)
        except errors.ApiError as error:
            return Confirmed(decide=control.tightening_actions, error=error)
        if live is None:
            return Confirmed(decide=_nothing)
        self._cache.put(live)
        return Confirmed(decide=control.versioned_actions)

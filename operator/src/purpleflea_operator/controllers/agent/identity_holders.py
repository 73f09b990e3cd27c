"""The agent that holds the identities of another one: a resource, or pods that have not ended yet."""

import time
from collections.abc import Callable
from typing import Any

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import gather
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    ClaimState,
    IdentityClaim,
    IdentityIndex,
    IdentityKey,
    may_run,
)
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.parsing import Manifest, mapping


class IdentityHolders:
    """The holders of identities, from the claims of agents and from the cached pods and StatefulSets."""

    def __init__(self, cache: ObjectCache, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self.claims = IdentityIndex(self._state, clock)

    def holder_other_than(self, uid: str) -> IdentityClaim | None:
        """Return the holder of the identities of an agent, by UID; None if this agent may start.

        After an agent is deleted, gets another env or service, or loses the identities, its pods hold them until they
        are gone. An agent that already runs does not wait for them.
        """
        holder, known = self.claims.holder_other_than(uid), self.claims.claim_of(uid)
        if holder is not None or known is None:
            return holder
        identity, claim = known
        others = self.others(NamespacedName(claim.namespace, claim.name))
        if not others or self._is_running(claim):
            return None
        rivals = {NamespacedName(item.namespace, item.name) for item in self.claims.others(uid)}
        ending = (
            key
            for key in others
            if (self._rival_has_pods(key) if key in rivals else self._has_pods(key, identity))
        )
        return next(map(self._ending, ending), None)

    def others(self, key: NamespacedName) -> list[NamespacedName]:
        """Return the agents with the same name in other namespaces that exist, or of which objects exist."""
        return [item for item in self._cache.owners_named(key.name) if item != key]

    def _ending(self, key: NamespacedName) -> IdentityClaim:
        return IdentityClaim("", "", key.namespace, key.name, is_ending=True)

    def _has_pods(self, key: NamespacedName, identity: IdentityKey) -> bool:
        """Return whether pods of an agent run with this identity, or its StatefulSet can create some."""
        resource, pods = self._cache.agent(key), gather.agent_pods(self._cache, key)
        return any(may_run(item, identity, resource) for item in (*self._active(key), *pods))

    def _rival_has_pods(self, key: NamespacedName) -> bool:
        """Return whether pods of an agent that claims the same identity must end first.

        An agent that never ran and that its user allows beside another one is not removed, so it is not waited for.
        """
        resource, pods = self._cache.agent(key), gather.agent_pods(self._cache, key)
        if resource is not None and _allows_duplicates(resource):
            return not gather.never_started(resource, pods, self._workloads(key))
        return bool(self._active(key)) or not all(map(_cannot_start, pods))

    def _active(self, key: NamespacedName) -> list[dict[str, Any]]:
        """Return the StatefulSets of an agent that can create pods, or that have some, also unwatched ones."""
        return [item for item in self._workloads(key) if _may_have_pods(item)]

    def _workloads(self, key: NamespacedName) -> list[dict[str, Any]]:
        found = self._cache.owned(resources.STATEFUL_SET, key)
        return [item for item in found if gather.is_of_agent(item)]

    def _is_running(self, claim: IdentityClaim) -> bool:
        """Return whether the StatefulSet of an agent already requests pods."""
        return any(
            gather.is_owned(item, claim.uid) and item["spec"].get("replicas", 1) > 0
            for item in self._cache.owned(
                resources.STATEFUL_SET, NamespacedName(claim.namespace, claim.name)
            )
        )

    def _state(self, claim: IdentityClaim) -> ClaimState:
        key, is_running = NamespacedName(claim.namespace, claim.name), self._is_running(claim)
        resource = self._cache.agent(key)
        if resource is None or resource["metadata"]["uid"] != claim.uid:
            # The event of the current resource is still being processed.
            return ClaimState.RUNNING if is_running else ClaimState.STARTABLE
        pods = gather.agent_pods(self._cache, key)
        if not gather.never_started(resource, pods, self._workloads(key)):
            return ClaimState.RUNNING if is_running else ClaimState.RAN
        cannot_start = (
            "deletionTimestamp" in resource["metadata"]
            or gather.stop_mode(resource) is Mode.STOPPED
            or gather.parsed(resource)[0] is None
        )
        if cannot_start:
            return ClaimState.UNSTARTABLE
        return ClaimState.STARTING if is_running else ClaimState.STARTABLE


def _allows_duplicates(resource: Manifest) -> bool:
    datadog = mapping(mapping(resource.get("spec")).get("datadog"))
    return datadog.get("duplicateIdentity") == "Allow"


def _may_have_pods(stateful_set: Manifest) -> bool:
    """Return whether a StatefulSet requests pods, has some, or was not processed by its controller since its change."""
    status, metadata = mapping(stateful_set.get("status")), stateful_set["metadata"]
    is_processed = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    requested = stateful_set["spec"].get("replicas", 1)
    return requested > 0 or not is_processed or status.get("replicas", 0) > 0


def _cannot_start(pod: Manifest) -> bool:
    """Return whether a pod was deleted before it was assigned to a node. A finalizer can keep such a pod."""
    return "deletionTimestamp" in pod["metadata"] and not mapping(pod.get("spec")).get("nodeName")

"""The agent that holds the identities of another one: a resource, or pods that have not ended yet."""

from purpleflea_operator.controllers.agent.decisions import gather
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    IdentityClaim,
    IdentityIndex,
    IdentityKey,
    may_run,
)
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache


class IdentityHolders:
    """The holders of identities, from the claims of agents and from the cached pods and StatefulSets."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self.claims = IdentityIndex(self._is_running)

    def holder_other_than(self, uid: str) -> IdentityClaim | None:
        """Return the holder of the identities of an agent, by UID; None if this agent may start.

        After an agent is deleted, or gets another env or service, its previous pods hold the identities until they are
        gone. An agent that already runs does not wait for them.
        """
        holder, known = self.claims.holder_other_than(uid), self.claims.claim_of(uid)
        if holder is not None or known is None:
            return holder
        identity, claim = known
        others = self.others(NamespacedName(claim.namespace, claim.name))
        if not others or self._is_running(claim):
            return None
        return next((self._ending(key) for key in others if self._has_pods(key, identity)), None)

    def others(self, key: NamespacedName) -> list[NamespacedName]:
        """Return the agents with the same name in other namespaces that exist, or of which objects exist."""
        return [item for item in self._cache.owners_named(key.name) if item != key]

    def _ending(self, key: NamespacedName) -> IdentityClaim:
        return IdentityClaim("", "", key.namespace, key.name, is_ending=True)

    def _has_pods(self, key: NamespacedName, identity: IdentityKey) -> bool:
        """Return whether pods of an agent run with this identity, or its StatefulSet can create some."""
        resource = self._cache.agent(key)
        stateful_sets = [
            item
            for item in self._cache.owned(resources.STATEFUL_SET, key)
            if gather.is_of_agent(item) and item["spec"].get("replicas", 1) > 0
        ]
        pods = gather.agent_pods(self._cache, key)
        return any(may_run(item, identity, resource) for item in (*stateful_sets, *pods))

    def _is_running(self, claim: IdentityClaim) -> bool:
        """Return whether the StatefulSet of an agent already requests pods."""
        return any(
            gather.is_owned(item, claim.uid) and item["spec"].get("replicas", 1) > 0
            for item in self._cache.owned(
                resources.STATEFUL_SET, NamespacedName(claim.namespace, claim.name)
            )
        )

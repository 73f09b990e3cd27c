"""The agent that holds the identities of another one: a resource, or pods that have not ended yet."""

from collections.abc import Callable, Iterable, Sequence

from purpleflea_contract.control import Mode
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions import gather
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    ClaimState,
    IdentityClaim,
    IdentityIndex,
    IdentityKey,
    identity_of,
    may_create_earlier_pods,
    may_have_pods,
    may_run,
)
from purpleflea_operator.controllers.agent.former_identities import FormerIdentities
from purpleflea_operator.controllers.agent.run_history import RunHistory
from purpleflea_operator.controllers.agent.workload_writes import WorkloadWrites
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.parsing import Manifest, mapping


class IdentityHolders:
    """The holders of identities, from the claims of agents and from the cached pods and StatefulSets."""

    def __init__(self, cache: ObjectCache, clock: Callable[[], float]) -> None:
        self._cache = cache
        self.claims = IdentityIndex(self._state, clock)
        self.claims.on_release = lambda identity, claim: self.former.add(identity, claim.namespace)
        self.former = FormerIdentities(clock)
        self.history = RunHistory(cache)
        self.writes = WorkloadWrites(clock)
        self._waiting: dict[NamespacedName, dict[NamespacedName, None]] = {}
        """The agents that wait for the end of the pods of another one."""

    def note(self, manifest: Manifest) -> None:
        """Record the identity of a pod or StatefulSet if no agent of its namespace claims it."""
        identity, namespace = identity_of(manifest), manifest["metadata"]["namespace"]
        is_copy = manifest["kind"] == "Pod" and not gather.is_identity(manifest, identity[0])
        if is_copy or not identity[0] or self.claims.is_claimed(identity, namespace):
            return
        if may_run(manifest, identity, self._cache.agent(NamespacedName(namespace, identity[0]))):
            self.former.add(identity, namespace)

    def on_workload_gone(self, stateful_set: Manifest) -> None:
        """Record the identity of a StatefulSet that is deleted, because its pods end later."""
        if gather.is_of_agent(stateful_set):
            namespace = stateful_set["metadata"]["namespace"]
            self.former.add(identity_of(stateful_set), namespace)

    def holder_other_than(self, uid: str) -> IdentityClaim | None:
        """Return the holder of the identities of an agent, by UID; None if this agent may start.

        After an agent is deleted, gets another env or service, or loses the identities, its pods hold them until they
        are gone. An agent that already runs with the identities does not wait for them.
        """
        holder, known = self.claims.holder_other_than(uid), self.claims.claim_of(uid)
        if holder is not None or known is None:
            return holder
        identity, claim = known
        if self._is_running(claim, identity):
            return None
        places = self.former.namespaces(identity, other_than=claim.namespace)
        rivals = (item.namespace for item in self.claims.others(uid))
        endings = (self._ending(identity, item) for item in (*places, *rivals))
        found = next(filter(None, endings), None)
        if found is None and places:
            found = self._unread(identity, places)
        if found is not None:
            key = NamespacedName(claim.namespace, claim.name)
            self._waiting.setdefault(NamespacedName(found.namespace, found.name), {})[key] = None
        return found

    def to_read(self, key: NamespacedName) -> tuple[IdentityKey, str] | None:
        """Return the identity and the namespace whose pods must be read before an agent starts; None if none."""
        resource = self._cache.agent(key) if len(self.former) else None
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            return None
        uid = resource["metadata"]["uid"]
        found, known = self.holder_other_than(uid), self.claims.claim_of(uid)
        if found is None or known is None or not found.is_unread or found.loses_in_s:
            return None
        return known[0], found.namespace

    def are_pods_gone(self, identity: IdentityKey, namespace: str) -> bool:
        """Return whether no cached pod of a namespace has, or can get, an identity."""
        return self._ending(identity, namespace) is None

    def pop_waiting(self, key: NamespacedName) -> Iterable[NamespacedName]:
        """Return the agents that wait for the end of the pods of an agent. Their next pass lets them wait again."""
        return self._waiting.pop(key, {})

    def _ending(self, identity: IdentityKey, namespace: str) -> IdentityClaim | None:
        """Return a claim if pods of a namespace have an identity, or can still be created with it."""
        key = NamespacedName(namespace, identity[0])
        if self.writes.are_open(key):
            retry_s = timings.IDENTITY_READ_RETRY_S
            return IdentityClaim("", "", *key, is_ending=True, loses_in_s=retry_s)
        pods, workloads = gather.agent_pods(self._cache, key), gather.workloads(self._cache, key)
        if not pods and not workloads:
            return None
        is_rival = self.claims.is_claimed(identity, namespace)
        holds = (
            self._rival_has_pods(key, pods, workloads)
            if is_rival
            else self._has_pods(key, identity, pods, workloads)
        )
        return IdentityClaim("", "", *key, is_ending=True) if holds else None

    def _unread(self, identity: IdentityKey, places: Iterable[str]) -> IdentityClaim:
        namespace = min(places, key=lambda item: self.former.wait_s(identity, item))
        return IdentityClaim(
            *("", "", namespace, identity[0]),
            is_ending=True,
            is_unread=True,
            loses_in_s=self.former.wait_s(identity, namespace),
            error=self.former.error(identity, namespace),
        )

    def _has_pods(
        self,
        key: NamespacedName,
        identity: IdentityKey,
        pods: Sequence[Manifest],
        workloads: Iterable[Manifest],
    ) -> bool:
        """Return whether pods of an agent run with this identity, or its StatefulSet can create some."""
        resource, active = self._cache.agent(key), list(filter(may_have_pods, workloads))
        return any(may_create_earlier_pods(item, pods) for item in active) or any(
            may_run(item, identity, resource) for item in (*active, *pods)
        )

    def _rival_has_pods(
        self, key: NamespacedName, pods: Sequence[Manifest], workloads: Sequence[Manifest]
    ) -> bool:
        """Return whether pods of an agent that claims the same identity must end first.

        An agent that never ran and that its user allows beside another one is not removed, so it is not waited for.
        """
        resource = self._cache.agent(key)
        if resource is not None and _allows_duplicates(resource):
            return not self.history.never_started(resource)
        return any(map(may_have_pods, workloads)) or not all(map(_cannot_start, pods))

    def _is_running(self, claim: IdentityClaim, identity: IdentityKey) -> bool:
        """Return whether the StatefulSet of an agent already requests pods with this identity."""
        return any(
            gather.is_owned(item, claim.uid)
            and item["spec"].get("replicas", 1) > 0
            and identity_of(item) == identity
            for item in self._cache.owned(
                resources.STATEFUL_SET, NamespacedName(claim.namespace, claim.name)
            )
        )

    def _state(self, claim: IdentityClaim) -> ClaimState:
        key, known = NamespacedName(claim.namespace, claim.name), self.claims.claim_of(claim.uid)
        is_running = known is not None and self._is_running(claim, known[0])
        resource = self._cache.agent(key)
        if resource is None or resource["metadata"]["uid"] != claim.uid:
            # The event of the current resource is still being processed.
            return ClaimState.RUNNING if is_running else ClaimState.STARTABLE
        if not self.history.never_started(resource):
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


def _cannot_start(pod: Manifest) -> bool:
    """Return whether a pod was deleted before it was assigned to a node. A finalizer can keep such a pod."""
    return "deletionTimestamp" in pod["metadata"] and not mapping(pod.get("spec")).get("nodeName")

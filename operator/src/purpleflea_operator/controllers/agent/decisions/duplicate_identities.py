"""An index of the identities that agents have in Datadog, over all agent resources. Pure except for its own memory.

A change costs O(log n), a lookup does not iterate over agents. If several agents have the same identity, the first one
that is looked up holds it until it is deleted. An agent that is created later, even with an older timestamp, must not
start beside it. If no agent was looked up yet, an agent that runs has priority, then one that ran before, and then the
older agent over the newer one.

An agent that never ran loses the identity to one that can start: at once if it cannot start, such as with an invalid
spec, otherwise after `IDENTITY_HOLD_S`. Without this rule, any user could block the agent of another namespace with a
resource that never starts. An agent that ran is never affected, because it can hold positions.

Pods of a deleted agent, or with the previous env or service of an agent, still hold their identity. `may_run`
recognizes them. A copy of their labels delays another agent, as a second agent resource does, but never stops one that
runs.

An identity is the name of the pod, env and service. Pods are named <name>-<ordinal>. The last dash separates the two
parts, so agents with different names never share the name of a pod, and agents with one name share that of ordinal 0.
"""

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.tags import stored_value
from purpleflea_operator import timings
from purpleflea_operator.api.datadog import stored_service
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.parsing import Manifest, mapping, mappings, text

_IDENTITY_LABELS = (
    kubernetes.LABEL_INSTANCE,
    kubernetes.DD_LABEL_ENV,
    kubernetes.DD_LABEL_SERVICE,
)

IdentityKey = tuple[str, str, str]
"""Name, env and service. Env and service are as Datadog stores them, so Production and production are the same."""


@dataclass(frozen=True, slots=True, order=True)
class IdentityClaim:
    """The claim of one agent resource to its identities; sorted by age."""

    created: str
    uid: str
    namespace: str
    name: str
    is_ending: bool = False
    """True if only pods are left that must end before another agent starts."""
    loses_in_s: float | None = field(default=None, compare=False)
    """Seconds until a holder that never ran loses the identities to an agent that waits, or until its pods are read
    again; None if only an event ends the wait."""
    is_unread: bool = field(default=False, compare=False)
    """True if the pods that may be left must be read from the API server."""
    error: str = field(default="", compare=False)
    """Why these pods could not be read; empty if they could."""


class ClaimState(IntEnum):
    """The ability of an agent to run, from the strongest claim to the weakest."""

    RUNNING = 0
    """Its pods are requested, and a container of it has run."""
    RAN = 1
    """It has run, and its pods are not requested now."""
    STARTING = 2
    """Its pods are requested, and none has run yet."""
    STARTABLE = 3
    """It has never run, and nothing prevents a start."""
    UNSTARTABLE = 4
    """It has never run and cannot start: its spec is invalid, its mode is Stopped, or it is being deleted."""

    @property
    def has_run(self) -> bool:
        """Return True if the agent can hold positions."""
        return self <= ClaimState.RAN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    key: IdentityKey
    claim: IdentityClaim
    version: tuple[object, bool]
    """Generation, and whether the agent is being deleted. They decide if it can start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    claim: IdentityClaim
    since_s: float


class IdentityIndex:
    """The claims of all agents, oldest first for each identity.

    `state` returns the state of the agent of a claim, `clock` returns seconds.
    """

    def __init__(
        self, state: Callable[[IdentityClaim], ClaimState], clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._clock = clock
        self._claims: dict[IdentityKey, list[IdentityClaim]] = {}
        self._holders: dict[IdentityKey, _Holder] = {}
        self._by_uid: dict[str, _Known] = {}
        self._turns: dict[str, int] = {}
        """Number of the last turn of agents that lost identities, by UID. Others come first."""
        self.on_loss: Callable[[Iterable[IdentityClaim]], None] = lambda _: None
        """Called with the agents that must be reconciled because a holder lost its identities."""
        self.on_release: Callable[[IdentityKey, IdentityClaim], None] = lambda *_: None
        """Called with an identity that an agent does not claim any more. Its pods can still have it."""

    def upsert(self, manifest: Mapping[str, Any]) -> list[IdentityClaim]:
        """Add or update an agent; returns the claims of other agents that are affected."""
        metadata = manifest["metadata"]
        wanted = _identity_key(manifest)
        version = (metadata.get("generation"), "deletionTimestamp" in metadata)
        known = self._by_uid.get(metadata["uid"])
        if known is not None and known.key == wanted:
            if known.version == version:
                return []
            self._by_uid[metadata["uid"]] = replace(known, version=version)
            return [item for item in self._claims[known.key] if item != known.claim]
        affected = self.delete(metadata["uid"])
        if wanted is None:
            return affected
        claim = IdentityClaim(
            text(metadata.get("creationTimestamp")),
            metadata["uid"],
            metadata["namespace"],
            metadata["name"],
        )
        bisect.insort(self._claims.setdefault(wanted, []), claim)
        self._by_uid[claim.uid] = _Known(key=wanted, claim=claim, version=version)
        return affected

    def delete(self, uid: str) -> list[IdentityClaim]:
        """Remove an agent; returns the claims of other agents that are affected."""
        known = self._by_uid.pop(uid, None)
        if known is None:
            return []
        self._turns.pop(uid, None)
        self.on_release(known.key, known.claim)
        claims = self._claims[known.key]
        claims.remove(known.claim)
        if not claims:
            del self._claims[known.key]
        holder = self._holders.get(known.key)
        if holder is None or holder.claim != known.claim:
            return []
        del self._holders[known.key]
        return list(claims)

    def claim_of(self, uid: str) -> tuple[IdentityKey, IdentityClaim] | None:
        """Return the claim of an agent; None if it needs no identity."""
        known = self._by_uid.get(uid)
        return None if known is None else (known.key, known.claim)

    def is_claimed(self, identity: IdentityKey, namespace: str) -> bool:
        """Return whether an agent of this namespace claims an identity."""
        return any(item.namespace == namespace for item in self._claims.get(identity, ()))

    def others(self, uid: str) -> list[IdentityClaim]:
        """Return the claims of other agents to the identities of this agent."""
        known = self._by_uid.get(uid)
        return [] if known is None else [c for c in self._claims[known.key] if c != known.claim]

    def holder_other_than(self, uid: str) -> IdentityClaim | None:
        """Return the agent that holds the identities of this agent; None if this agent holds them.

        The first lookup decides which agent is the holder.
        """
        known = self._by_uid.get(uid)
        if known is None:
            return None
        claims, holder = self._claims[known.key], self._holders.get(known.key)
        if holder is None:
            holder = self._elect(known.key, claims)
        if len(claims) == 1:
            return None
        loses_in_s = self._loses_in_s(holder, claims)
        if loses_in_s == 0.0:
            lost = holder.claim
            self._turns[lost.uid] = max(self._turns.values(), default=0) + 1
            holder = self._elect(known.key, [item for item in claims if item != lost])
            loses_in_s = self._loses_in_s(holder, claims)
            self.on_loss(claims)
        return None if holder.claim.uid == uid else replace(holder.claim, loses_in_s=loses_in_s)

    def _elect(self, key: IdentityKey, claims: list[IdentityClaim]) -> _Holder:
        def rank(claim: IdentityClaim) -> tuple[bool, ClaimState, int, ClaimState, IdentityClaim]:
            state = self._state(claim)
            # Agents that never ran hold the identities in turns, also if the pods of one are requested.
            level = min(state, ClaimState.STARTING)
            is_last = state is ClaimState.UNSTARTABLE
            return is_last, level, self._turns.get(claim.uid, 0), state, claim

        # The state of a single claim does not matter, and most identities have only one.
        first = claims[0] if len(claims) == 1 else min(claims, key=rank)
        self._holders[key] = _Holder(claim=first, since_s=self._clock())
        return self._holders[key]

    def _loses_in_s(self, holder: _Holder, claims: list[IdentityClaim]) -> float | None:
        """Return the seconds until the holder loses the identities; None if it keeps them."""
        state = self._state(holder.claim)
        others = (self._state(item) for item in claims if item != holder.claim)
        if state.has_run or not any(item < ClaimState.UNSTARTABLE for item in others):
            return None
        if state is ClaimState.UNSTARTABLE:
            return 0.0
        return max(0.0, holder.since_s + timings.IDENTITY_HOLD_S - self._clock())


def identity_of(manifest: Manifest) -> IdentityKey:
    """Return the identity in the labels of a pod or StatefulSet, by the name of its agent."""
    labels = mapping(manifest["metadata"].get("labels"))
    name, env, service = (text(labels.get(label)) for label in _IDENTITY_LABELS)
    return name, stored_value("env", env), stored_value("service", service)


def has_identity_without_labels(pod: Manifest, identity: IdentityKey) -> bool:
    """Return whether a pod with the name of an identity, whose labels were removed, can be a pod of the agent.

    Its process keeps the values with which it started. Env and service count only if both labels are left.
    """
    labels = mapping(pod["metadata"].get("labels"))
    containers = mappings(mapping(pod.get("spec")).get("containers"))
    if not any(item.get("name") == kubernetes.CONTAINER for item in containers):
        return False
    is_complete = kubernetes.DD_LABEL_ENV in labels and kubernetes.DD_LABEL_SERVICE in labels
    return not is_complete or identity_of(pod)[1:] == identity[1:]


def may_create_earlier_pods(stateful_set: Manifest, pods: Iterable[Manifest]) -> bool:
    """Return whether a StatefulSet can create pods with an earlier template that none of these pods shows.

    Its controller has not processed the last change yet, or the partition of a rollout keeps the earlier revision.
    """
    spec, status = mapping(stateful_set.get("spec")), mapping(stateful_set.get("status"))
    generation = stateful_set["metadata"].get("generation", 0)
    if status.get("observedGeneration", 0) < generation:
        return True
    rolling, earlier = mapping(spec.get("updateStrategy")), status.get("currentRevision")
    if not mapping(rolling.get("rollingUpdate")).get("partition"):
        return False
    labels = (mapping(item["metadata"].get("labels")) for item in pods)
    is_shown = any(item.get("controller-revision-hash") == earlier for item in labels)
    return earlier != status.get("updateRevision") and not is_shown


def may_have_pods(stateful_set: Manifest) -> bool:
    """Return whether a StatefulSet requests pods, has some, or was not processed by its controller since its change."""
    status, metadata = mapping(stateful_set.get("status")), stateful_set["metadata"]
    is_processed = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    requested = stateful_set["spec"].get("replicas", 1)
    return requested > 0 or not is_processed or status.get("replicas", 0) > 0


def may_run(manifest: Manifest, identity: IdentityKey, resource: Manifest | None) -> bool:
    """Return whether a pod, or the pods of a StatefulSet, can have an identity that their agent does not claim.

    `resource` is the agent of the same name and namespace; None if it is deleted. Objects that are older than it belong
    to a previous agent. An agent whose connection is Disabled claims no identity, and its pods send no telemetry.
    """
    if identity_of(manifest) != identity:
        return False
    if resource is None or _created(manifest) < _created(resource):
        return True
    if _is_disabled(resource):
        return recorded_connection.has_connection(manifest)
    return _identity_key(resource) != identity


def _created(manifest: Mapping[str, Any]) -> str:
    return text(manifest["metadata"].get("creationTimestamp"))


def _is_disabled(manifest: Mapping[str, Any]) -> bool:
    return mapping(mapping(manifest.get("spec")).get("datadog")).get("connection") == "Disabled"


def _identity_key(manifest: Mapping[str, Any]) -> IdentityKey | None:
    """Return the identity of ordinal 0; None if the agent has no pods or sends no telemetry."""
    spec = mapping(manifest.get("spec"))
    datadog = mapping(spec.get("datadog"))
    if not spec.get("replicas", 1) or _is_disabled(manifest):
        return None
    return manifest["metadata"]["name"], *stored_service(datadog)

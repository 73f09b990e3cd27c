"""An index of the identities that agents have in Datadog, over all agent resources. Pure except for its own memory.

A change costs O(log n), a lookup does not iterate over agents. If several agents have the same identity, the first one
that is looked up holds it until it is deleted. An agent that is created later, even with an older timestamp, must not
start beside it. If no agent was looked up yet, a running agent has priority over an agent that does not run, and then
the older agent over the newer one.

The pods of an agent outlive it, or its former identity, by their grace period. As long as one exists, an agent in
another namespace does not start with this identity.

An identity is the name of the pod, env and service. Pods are named <name>-<ordinal>. The last dash separates the two
parts, so agents with different names never share the name of a pod, and agents with one name share that of ordinal 0.
"""

import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.api.datadog import Datadog
from purpleflea_operator.parsing import mapping, text

IdentityKey = tuple[str, str, str]
"""Name, env and service."""


@dataclass(frozen=True, slots=True, order=True)
class IdentityClaim:
    """The claim of one agent resource to its identities; sorted by age."""

    created: str
    uid: str
    namespace: str
    name: str


class IdentityIndex:
    """The claims of all agents, oldest first for each identity.

    `is_running` returns whether the pods of an agent are already requested. `has_pods` returns whether an agent has
    pods with an identity, or a StatefulSet that creates them.
    """

    def __init__(
        self,
        is_running: Callable[[IdentityClaim], bool],
        has_pods: Callable[[IdentityClaim, IdentityKey], bool],
    ) -> None:
        self._is_running = is_running
        self._has_pods = has_pods
        self._leaving: dict[IdentityKey, dict[str, IdentityClaim]] = {}
        """Agents that had an identity, by their namespace."""
        self._claims: dict[IdentityKey, list[IdentityClaim]] = {}
        self._holders: dict[IdentityKey, IdentityClaim] = {}
        self._by_uid: dict[str, tuple[IdentityKey, IdentityClaim]] = {}

    def upsert(self, manifest: Mapping[str, Any]) -> list[IdentityClaim]:
        """Add or update an agent; returns the claims of other agents that are affected."""
        metadata = manifest["metadata"]
        wanted = _identity_key(manifest)
        known = self._by_uid.get(metadata["uid"])
        if known is not None and known[0] == wanted:
            return []
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
        self._by_uid[claim.uid] = (wanted, claim)
        return affected

    def delete(self, uid: str) -> list[IdentityClaim]:
        """Remove an agent; returns the claims of other agents that are affected."""
        known = self._by_uid.pop(uid, None)
        if known is None:
            return []
        key, claim = known
        claims = self._claims[key]
        claims.remove(claim)
        if not claims:
            del self._claims[key]
        self.add_leaving(key, claim)
        if self._holders.get(key) != claim:
            return []
        del self._holders[key]
        return list(claims)

    def add_leaving(self, key: IdentityKey, claim: IdentityClaim) -> None:
        """Keep an identity from others as long as pods of an agent have it that does not claim it any more."""
        if self._has_pods(claim, key):
            self._leaving.setdefault(key, {})[claim.namespace] = claim

    def on_pod_gone(self, name: str) -> list[IdentityClaim]:
        """Process that an agent with this name has fewer pods; returns the claims that are affected."""
        keys = [key for key in self._leaving if key[0] == name]
        return [
            claim for key in keys if self._remove_gone(key) for claim in self._claims.get(key, ())
        ]

    def _remove_gone(self, key: IdentityKey) -> bool:
        """Remove the agents whose last pod with an identity is gone. Return whether there was one."""
        left = self._leaving[key]
        gone = [name for name, claim in left.items() if not self._has_pods(claim, key)]
        for name in gone:
            del left[name]
        if not left:
            del self._leaving[key]
        return bool(gone)

    def holder_other_than(self, uid: str) -> IdentityClaim | None:
        """Return the agent that holds the identities of this agent; None if this agent holds them.

        The first lookup decides which agent is the holder.
        """
        known = self._by_uid.get(uid)
        if known is None:
            return None
        key, claim = known
        if key not in self._holders:
            claims = self._claims[key]
            self._holders[key] = min(claims, key=lambda item: (not self._is_running(item), item))
        holder = self._holders[key]
        return self._leaving_besides(key, claim) if holder.uid == uid else holder

    def _leaving_besides(self, key: IdentityKey, claim: IdentityClaim) -> IdentityClaim | None:
        """Return an agent in another namespace whose pods still have an identity, unless its new holder runs already.

        In its own namespace the API server prevents a second pod, because both have the same name.
        """
        left = self._leaving.get(key, {})
        others = [item for name, item in left.items() if name != claim.namespace]
        return others[0] if others and not self._is_running(claim) else None


def identity_of_child(labels: Mapping[str, Any]) -> IdentityKey:
    """Return the identity in the labels of a pod or of a StatefulSet."""
    names = (kubernetes.LABEL_INSTANCE, kubernetes.DD_LABEL_ENV, kubernetes.DD_LABEL_SERVICE)
    name, env, service = (text(labels.get(item)) for item in names)
    return name, env, service


def _identity_key(manifest: Mapping[str, Any]) -> IdentityKey | None:
    """Return the identity of ordinal 0; None if the agent has no pods or sends no telemetry."""
    spec = mapping(manifest.get("spec"))
    datadog = mapping(spec.get("datadog"))
    if not spec.get("replicas", 1) or datadog.get("connection") == "Disabled":
        return None
    env, service = (
        str(datadog.get(name, Datadog.model_fields[name].default)) for name in ("env", "service")
    )
    return manifest["metadata"]["name"], env, service

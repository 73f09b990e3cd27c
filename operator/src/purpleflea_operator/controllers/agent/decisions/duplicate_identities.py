"""An index of the identities that agents have in Datadog, over all agent resources. Pure except for its own memory.

A change costs O(log n), a lookup does not iterate over agents. If several agents have the same identity, the first one
that is looked up holds it until it is deleted. An agent that is created later, even with an older timestamp, must not
start beside it. If no agent was looked up yet, a running agent has priority over an agent that does not run, and then
the older agent over the newer one.

Pods of a deleted agent, or with the previous env or service of an agent, still hold their identity. `may_run`
recognizes them. A copy of their labels delays another agent, as a second agent resource does, but never stops one that
runs.

An identity is the name of the pod, env and service. Pods are named <name>-<ordinal>. The last dash separates the two
parts, so agents with different names never share the name of a pod, and agents with one name share that of ordinal 0.
"""

import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.tags import stored_value
from purpleflea_operator.api.datadog import Datadog
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.parsing import Manifest, mapping, text

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
    """True if only pods are left that do not belong to a claim any more."""


class IdentityIndex:
    """The claims of all agents, oldest first for each identity.

    `is_running` returns whether the pods of an agent are already requested.
    """

    def __init__(self, is_running: Callable[[IdentityClaim], bool]) -> None:
        self._is_running = is_running
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
        if self._holders.get(key) != claim:
            return []
        del self._holders[key]
        return list(claims)

    def claim_of(self, uid: str) -> tuple[IdentityKey, IdentityClaim] | None:
        """Return the claim of an agent; None if it needs no identity."""
        return self._by_uid.get(uid)

    def holder_other_than(self, uid: str) -> IdentityClaim | None:
        """Return the agent that holds the identities of this agent; None if this agent holds them.

        The first lookup decides which agent is the holder.
        """
        known = self._by_uid.get(uid)
        if known is None:
            return None
        key = known[0]
        if key not in self._holders:
            claims = self._claims[key]
            self._holders[key] = min(claims, key=lambda claim: (not self._is_running(claim), claim))
        holder = self._holders[key]
        return None if holder.uid == uid else holder


def may_run(manifest: Manifest, identity: IdentityKey, resource: Manifest | None) -> bool:
    """Return whether a pod, or the pods of a StatefulSet, can have an identity that their agent does not claim.

    `resource` is the agent of the same name and namespace; None if it is deleted. Objects that are older than it belong
    to a previous agent. An agent whose connection is Disabled claims no identity, and its pods send no telemetry.
    """
    metadata = manifest["metadata"]
    labels = mapping(metadata.get("labels"))
    env, service = (
        text(labels.get(label)) for label in (kubernetes.DD_LABEL_ENV, kubernetes.DD_LABEL_SERVICE)
    )
    if (stored_value("env", env), stored_value("service", service)) != identity[1:]:
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
    env, service = (
        stored_value(name, str(datadog.get(name, Datadog.model_fields[name].default)))
        for name in ("env", "service")
    )
    return manifest["metadata"]["name"], env, service

"""Who has which identities in Datadog: an index over all agent resources, at O(log n) per change, none per look. Pure.

An agent is its pod's name, env and service there. The pods of an agent are <name>-<ordinal>, and the last dash parts
the two, so agents of different names never share a pod's name; those of one name share that of ordinal 0.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.model.datadog import Datadog

Slot = tuple[str, str, str]
"""Name, env and service."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """One agent resource that wants identities; ordered by age."""

    created: str
    uid: str
    namespace: str
    name: str


class Identities:
    """The claims of all agents, oldest first in each slot."""

    def __init__(self) -> None:
        self._slots: dict[Slot, list[Claim]] = {}
        self._held: dict[str, tuple[Slot, Claim]] = {}

    def note(self, manifest: Mapping[str, Any]) -> list[Claim]:
        """Take in an agent as it is now; returns the others for whom something changed."""
        metadata = manifest["metadata"]
        wanted = _slot(manifest)
        held = self._held.get(metadata["uid"])
        if held is not None and held[0] == wanted:
            return []
        freed = self.drop(metadata["uid"])
        if wanted is None:
            return freed
        claim = Claim(
            metadata.get("creationTimestamp", ""),
            metadata["uid"],
            metadata["namespace"],
            metadata["name"],
        )
        line = self._slots.setdefault(wanted, [])
        bisect.insort(line, claim)
        self._held[claim.uid] = (wanted, claim)
        return [*freed, *(line[1:] if line[0] == claim else ())]

    def drop(self, uid: str) -> list[Claim]:
        """Forget an agent; returns those for whom that changes something."""
        held = self._held.pop(uid, None)
        if held is None:
            return []
        slot, claim = held
        line = self._slots[slot]
        was_first = line[0] == claim
        line.remove(claim)
        if not line:
            del self._slots[slot]
        return list(line) if was_first else []

    def keep_only(self, uids: Iterable[str]) -> list[Claim]:
        """Forget all agents but these; returns those for whom that changes something."""
        return [claim for uid in self._held.keys() - set(uids) for claim in self.drop(uid)]

    def rival(self, uid: str) -> Claim | None:
        """The oldest agent with the same identities, unless that is this one."""
        held = self._held.get(uid)
        if held is None:
            return None
        first = self._slots[held[0]][0]
        return None if first.uid == uid else first


def _slot(manifest: Mapping[str, Any]) -> Slot | None:
    """Where the agent stands; None where it wants no identity or sends nothing."""
    spec = manifest.get("spec", {})
    datadog = spec.get("datadog") or {}
    if not spec.get("replicas", 1) or datadog.get("connection") == "Disabled":
        return None
    found = [datadog.get(name, Datadog.model_fields[name].default) for name in ("env", "service")]
    return (manifest["metadata"]["name"], str(found[0]), str(found[1]))

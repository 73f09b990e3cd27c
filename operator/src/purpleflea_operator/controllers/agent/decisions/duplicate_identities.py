"""Who has which identities in Datadog: an index over all agent resources, at O(log n) per change, none per look. Pure.

The first of several that is asked for has them, and keeps them until it goes: whoever comes later, however old, must
not start beside it. Where none was asked for yet, one that runs comes before one that does not, and then the older one.

An agent is its pod's name, env and service there. The pods of an agent are <name>-<ordinal>, and the last dash parts
the two, so agents of different names never share a pod's name; those of one name share that of ordinal 0.
"""

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.api.datadog import Datadog
from purpleflea_operator.parsing import table, text

IdentityKey = tuple[str, str, str]
"""Name, env and service."""


@dataclass(frozen=True, slots=True, order=True)
class IdentityClaim:
    """One agent resource that wants identities; ordered by age."""

    created: str
    uid: str
    namespace: str
    name: str


class IdentityIndex:
    """The claims of all agents, oldest first in each slot; `runs` says whether the pods of one are wanted already."""

    def __init__(self, runs: Callable[[IdentityClaim], bool]) -> None:
        self._runs = runs
        self._slots: dict[IdentityKey, list[IdentityClaim]] = {}
        self._holders: dict[IdentityKey, IdentityClaim] = {}
        self._held: dict[str, tuple[IdentityKey, IdentityClaim]] = {}

    def note(self, manifest: Mapping[str, Any]) -> list[IdentityClaim]:
        """Take in an agent as it is now; returns the others for whom something changed."""
        metadata = manifest["metadata"]
        wanted = _slot(manifest)
        held = self._held.get(metadata["uid"])
        if held is not None and held[0] == wanted:
            return []
        freed = self.drop(metadata["uid"])
        if wanted is None:
            return freed
        claim = IdentityClaim(
            text(metadata.get("creationTimestamp")),
            metadata["uid"],
            metadata["namespace"],
            metadata["name"],
        )
        bisect.insort(self._slots.setdefault(wanted, []), claim)
        self._held[claim.uid] = (wanted, claim)
        return freed

    def drop(self, uid: str) -> list[IdentityClaim]:
        """Forget an agent; returns those for whom that changes something."""
        held = self._held.pop(uid, None)
        if held is None:
            return []
        slot, claim = held
        line = self._slots[slot]
        line.remove(claim)
        if not line:
            del self._slots[slot]
        if self._holders.get(slot) != claim:
            return []
        del self._holders[slot]
        return list(line)

    def keep_only(self, uids: Iterable[str]) -> list[IdentityClaim]:
        """Forget all agents but these; returns those for whom that changes something."""
        return [claim for uid in self._held.keys() - set(uids) for claim in self.drop(uid)]

    def rival(self, uid: str) -> IdentityClaim | None:
        """The agent that has the same identities, unless that is this one."""
        held = self._held.get(uid)
        if held is None:
            return None
        slot = held[0]
        if slot not in self._holders:
            line = self._slots[slot]
            self._holders[slot] = min(line, key=lambda claim: (not self._runs(claim), claim))
        holder = self._holders[slot]
        return None if holder.uid == uid else holder


def _slot(manifest: Mapping[str, Any]) -> IdentityKey | None:
    """Where the agent stands; None where it wants no identity or sends nothing."""
    spec = table(manifest.get("spec"))
    datadog = table(spec.get("datadog"))
    if not spec.get("replicas", 1) or datadog.get("connection") == "Disabled":
        return None
    found = [datadog.get(name, Datadog.model_fields[name].default) for name in ("env", "service")]
    return (manifest["metadata"]["name"], str(found[0]), str(found[1]))

"""Index of the halts that are in force, so that the halts of one agent are found without a scan of all halts. Pure.

A halt by names is found by name, and a halt by labels by one of its label values. Only halts of whole namespaces, and
halts whose conditions name no value, are compared with each agent of their scope.
"""

from collections import defaultdict
from collections.abc import Mapping

from purpleflea_operator.controllers.halt.decisions.halt import Halt, Selector, by_strength
from purpleflea_operator.kube.kept_metadata import has_too_many

_Bucket = tuple[str, str, str]
"""Namespace (empty for all), and a name ("", name), a label (key, value), or the rest ("", "")."""


class HaltIndex:
    """The halts in force, by the UID of their resources."""

    def __init__(self) -> None:
        self._halts: dict[str, Halt] = {}
        self._buckets: dict[_Bucket, dict[str, Halt]] = defaultdict(dict)

    def __contains__(self, uid: str) -> bool:
        """Return whether the halt with this UID is in force."""
        return uid in self._halts

    def get(self, uid: str) -> Halt | None:
        """Return the halt with this UID; None if it is not in force."""
        return self._halts.get(uid)

    def put(self, halt: Halt) -> None:
        """Add a halt, or replace it."""
        self.remove(halt.uid)
        self._halts[halt.uid] = halt
        for bucket in _buckets(halt.selector):
            self._buckets[bucket][halt.uid] = halt

    def remove(self, uid: str) -> None:
        """Remove a halt, if it is known."""
        halt = self._halts.pop(uid, None)
        for bucket in () if halt is None else _buckets(halt.selector):
            self._buckets[bucket].pop(uid, None)
            if not self._buckets[bucket]:
                del self._buckets[bucket]

    def of(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[Halt, ...]:
        """Return the halts that select an agent, the strongest first."""
        if not self._halts:
            return ()
        found = self._halts if has_too_many(labels) else self._found(namespace, name, labels)
        return by_strength(
            item for item in found.values() if item.selector.selects(namespace, name, labels)
        )

    def _found(self, namespace: str, name: str, labels: Mapping[str, str]) -> dict[str, Halt]:
        found: dict[str, Halt] = {}
        for scope in (namespace, ""):
            for bucket in ((scope, "", name), *((scope, *item) for item in labels.items())):
                found |= self._buckets.get(bucket, {})
            found |= self._buckets.get((scope, "", ""), {})
        return found


def _buckets(selector: Selector) -> list[_Bucket]:
    """Return the buckets of a selector. An agent that is selected is in at least one of them."""
    scopes = [""] if selector.namespaces is None else sorted(selector.namespaces)
    if selector.names is not None:
        return [(scope, "", name) for scope in scopes for name in selector.names]
    for item in selector.requirements:
        if item.operator == "In":
            return [(scope, item.key, value) for scope in scopes for value in item.values]
    return [(scope, "", "") for scope in scopes]

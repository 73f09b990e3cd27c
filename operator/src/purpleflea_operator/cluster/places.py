"""Which agents have pods on which node, so that a change of a node reaches exactly those. It decides nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from purpleflea_operator.cluster.cache import Key, owner_of
from purpleflea_operator.cluster.kinds import Manifest
from purpleflea_operator.model.parsing import table, text


class Places:
    """Agents by the nodes of their pods, kept at O(1) per event."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, Key]] = {}
        self._agents: dict[str, Counter[Key]] = defaultdict(Counter)

    def note(self, pod: Manifest) -> None:
        """Remember where a pod of an agent runs."""
        uid, key = pod["metadata"]["uid"], owner_of(pod)
        name = text(table(pod.get("spec")).get("nodeName"))
        self.forget(uid)
        if key is not None and name:
            self._places[uid] = (name, key)
            self._agents[name][key] += 1

    def forget(self, uid: str) -> None:
        """Take in that a pod is gone."""
        name, key = self._places.pop(uid, ("", None))
        if key is not None:
            self._agents[name] -= Counter([key])
            if not self._agents[name]:
                del self._agents[name]

    def sweep(self, alive: Iterable[str]) -> None:
        """Forget all pods but these."""
        for uid in self._places.keys() - set(alive):
            self.forget(uid)

    def agents_on(self, name: str) -> list[Key]:
        """Agents with a pod on a node."""
        return sorted(self._agents.get(name, ()))

"""Directory of the agent resources: their labels, the acknowledgements that the passes report, and the sums per halt.

It holds only names, labels and counts, so the agents of a halt are found without parsing cached objects. The sums are
kept current with each change of one agent, so a report of a halt costs the same for one agent as for 10,000.
"""

from collections.abc import Iterator, Mapping

from purpleflea_operator.controllers.halt.decisions.halt import Halt, Selector
from purpleflea_operator.controllers.halt.decisions.index import HaltIndex
from purpleflea_operator.controllers.halt.decisions.progress import (
    AgentProgress,
    HaltProgress,
    HaltTally,
)
from purpleflea_operator.kube.object_cache import NamespacedName

_Labels = Mapping[str, str]


class AgentDirectory:
    """Labels and progress of each agent resource, and the sums of the halts that are followed."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, _Labels]] = {}
        self._progress: dict[NamespacedName, AgentProgress] = {}
        self._halts = HaltIndex()
        """The followed halts, also those that have expired."""
        self._tallies: dict[str, HaltTally] = {}
        """By the UID of the halt."""

    def __iter__(self) -> Iterator[NamespacedName]:
        """Iterate over all agents."""
        for namespace, names in self._labels.items():
            for name in names:
                yield NamespacedName(namespace, name)

    def labels(self, key: NamespacedName) -> _Labels | None:
        """Return the labels of an agent; None if it is unknown."""
        return self._labels.get(key.namespace, {}).get(key.name)

    def upsert(self, key: NamespacedName, labels: _Labels) -> bool:
        """Store the labels of an agent. Return whether they changed."""
        former = self.labels(key)
        if former == labels:
            return False
        if former is not None:
            self._exclude(key, former)
        self._labels.setdefault(key.namespace, {})[key.name] = labels
        for halt in self._halts.of(key.namespace, key.name, labels):
            self._tallies[halt.uid].put(key, self._progress.get(key))
        return True

    def remove(self, key: NamespacedName) -> None:
        """Remove an agent, if it is known."""
        names = self._labels.get(key.namespace, {})
        former = names.pop(key.name, None)
        if former is None:
            return
        if not names:
            del self._labels[key.namespace]
        self._progress.pop(key, None)
        self._exclude(key, former)

    def _exclude(self, key: NamespacedName, labels: _Labels) -> None:
        for halt in self._halts.of(key.namespace, key.name, labels):
            self._tallies[halt.uid].remove(key)

    def record(self, key: NamespacedName, progress: AgentProgress) -> list[tuple[Halt, int]]:
        """Store the progress of an agent. Return the halts whose sum changed.

        Each has its new number of acknowledgements if that increased, else 0.
        """
        labels = self.labels(key)
        if labels is None or self._progress.get(key) == progress:
            return []
        self._progress[key] = progress
        changed: list[tuple[Halt, int]] = []
        for halt in self._halts.of(key.namespace, key.name, labels):
            tally = self._tallies[halt.uid]
            before = tally.acknowledged
            tally.put(key, progress)
            changed.append((halt, tally.acknowledged if tally.acknowledged > before else 0))
        return changed

    def forget_progress(self) -> None:
        """Forget the progress of all agents, because it was computed from objects that may be outdated."""
        self._progress.clear()
        for tally in self._tallies.values():
            for key in list(tally):
                tally.put(key, None)

    def follow(self, halt: Halt) -> None:
        """Keep the sum of a halt from now on, or adapt it to another mode or selector. Only this scans the agents."""
        known = self._halts.get(halt.uid)
        self._halts.put(halt)
        if known is not None and (known.mode, known.selector) == (halt.mode, halt.selector):
            return
        tally = self._tallies[halt.uid] = HaltTally(halt.mode)
        for key in sorted(self._find(halt.selector)):
            tally.put(key, self._progress.get(key))

    def forget(self, uid: str) -> None:
        """Forget a halt."""
        self._halts.remove(uid)
        self._tallies.pop(uid, None)

    def selected(self, uid: str) -> list[NamespacedName]:
        """Return the agents that a followed halt selects; none if it is not followed."""
        return list(self._tallies.get(uid, ()))

    def progress(self, halt: Halt) -> HaltProgress:
        """Return the progress of all agents of a followed halt."""
        return self._tallies[halt.uid].progress()

    def _find(self, selector: Selector) -> Iterator[NamespacedName]:
        chosen = self._labels if selector.namespaces is None else selector.namespaces
        for namespace in chosen:
            agents = self._labels.get(namespace, {})
            names = agents if selector.names is None else selector.names & agents.keys()
            for name in names:
                if selector.selects(namespace, name, agents[name]):
                    yield NamespacedName(namespace, name)

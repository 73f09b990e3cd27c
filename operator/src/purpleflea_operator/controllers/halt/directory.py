"""Directory of the agent resources: their labels, and the acknowledgements that the passes report.

It holds only names, labels and counts, so the agents of a halt are found without parsing cached objects.
"""

from collections.abc import Iterator, Mapping

from purpleflea_operator.controllers.halt.decisions.halt import Halt, Selector
from purpleflea_operator.controllers.halt.decisions.progress import (
    AgentProgress,
    HaltProgress,
    halt_progress,
)
from purpleflea_operator.kube.object_cache import NamespacedName

_Labels = Mapping[str, str]


class AgentDirectory:
    """Labels and progress of each agent resource."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, _Labels]] = {}
        self._progress: dict[NamespacedName, AgentProgress] = {}
        self._selected: dict[str, tuple[int, Selector, tuple[NamespacedName, ...]]] = {}
        self._version = 0

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
        if self.labels(key) == labels:
            return False
        self._labels.setdefault(key.namespace, {})[key.name] = labels
        self._version += 1
        return True

    def remove(self, key: NamespacedName) -> None:
        """Remove an agent, if it is known."""
        names = self._labels.get(key.namespace, {})
        if names.pop(key.name, None) is None:
            return
        if not names:
            del self._labels[key.namespace]
        self._progress.pop(key, None)
        self._version += 1

    def record(self, key: NamespacedName, progress: AgentProgress) -> AgentProgress | None:
        """Store the progress of a known agent. Return the former progress."""
        former = self._progress.get(key)
        if self.labels(key) is not None:
            self._progress[key] = progress
        return former

    def selected(self, halt: Halt) -> tuple[NamespacedName, ...]:
        """Return the agents that a halt selects, sorted."""
        version, selector, keys = self._selected.get(halt.uid, (-1, halt.selector, ()))
        if version != self._version or selector != halt.selector:
            keys = tuple(sorted(self._find(halt.selector)))
            self._selected[halt.uid] = (self._version, halt.selector, keys)
        return keys

    def forget(self, uid: str) -> None:
        """Forget what a halt selected."""
        self._selected.pop(uid, None)

    def progress(self, halt: Halt) -> HaltProgress:
        """Return the progress of all agents of a halt."""
        keys = self.selected(halt)
        return halt_progress(
            halt.mode, ((key.namespace, key.name, self._progress.get(key)) for key in keys)
        )

    def _find(self, selector: Selector) -> Iterator[NamespacedName]:
        chosen = self._labels if selector.namespaces is None else selector.namespaces
        for namespace in chosen:
            agents = self._labels.get(namespace, {})
            names = agents if selector.names is None else selector.names & agents.keys()
            for name in names:
                if selector.selects(namespace, name, agents[name]):
                    yield NamespacedName(namespace, name)

"""The writes of StatefulSets that the API server may still perform.

An admission webhook can hold a write for seconds. If the agent is deleted or changed meanwhile, the write still creates
pods with its previous identity. Therefore no other agent may start with this identity until the write has a result. A
write that ends without a response can be performed later.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from purpleflea_operator import timings
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest


class WorkloadWrites:
    """The writes of all agents. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: Counter[NamespacedName] = Counter()
        self._unknown_until_s: dict[NamespacedName, float] = {}

    @contextlib.contextmanager
    def of(self, key: NamespacedName, manifest: Manifest) -> Iterator[None]:
        """Record a write for an agent, which the caller awaits within the context, if it is that of a StatefulSet."""
        if manifest["kind"] != resources.STATEFUL_SET.kind:
            yield
            return
        self._open[key] += 1
        try:
            yield
        except (asyncio.CancelledError, errors.Unavailable):
            self._unknown_until_s[key] = self._clock() + timings.UNKNOWN_WRITE_S
            raise
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def are_open(self, key: NamespacedName) -> bool:
        """Return whether the API server may still perform a write."""
        if self._unknown_until_s.get(key, 0.0) <= self._clock():
            self._unknown_until_s.pop(key, None)
        return key in self._open or key in self._unknown_until_s

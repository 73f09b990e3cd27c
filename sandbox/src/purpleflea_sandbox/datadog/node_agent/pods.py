"""Pods of the node: the interface that the tagger, logs and checks use, and its in-memory implementation.

It does not read pods; the API server's watch, or a test, writes them.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

_MAX_DELETED = 500
"""Number of deleted pods that are kept, because their last logs and traces arrive later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that a container declares; most ports have no name."""

    number: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of a pod; the id is empty until the container runs."""

    name: str
    id: str = ""
    image: str = ""
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """The part of a pod that tags, log collection and checks need."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    owner_kind: str = ""
    owner_name: str = ""
    address: str = ""
    is_ready: bool = False


class PodSource(Protocol):
    """Source of pods."""

    def by_uid(self, uid: str) -> Pod | None: ...

    def by_container(self, container_id: str) -> Pod | None: ...

    def running(self) -> Collection[Pod]: ...


class PodMemory:
    """Pods by uid, including recently deleted pods."""

    def __init__(self) -> None:
        self._running: dict[str, Pod] = {}
        self._deleted: OrderedDict[str, Pod] = OrderedDict()

    def by_uid(self, uid: str) -> Pod | None:
        return self._running.get(uid) or self._deleted.get(uid)

    def by_container(self, container_id: str) -> Pod | None:
        for pod in (*self._running.values(), *self._deleted.values()):
            if any(container.id == container_id for container in pod.containers):
                return pod
        return None

    def running(self) -> Collection[Pod]:
        return tuple(self._running.values())

    def put(self, pod: Pod) -> None:
        self._deleted.pop(pod.uid, None)
        self._running[pod.uid] = pod

    def remove(self, uid: str) -> None:
        pod = self._running.pop(uid, None)
        if pod is not None:
            self._deleted[uid] = pod
        while len(self._deleted) > _MAX_DELETED:
            self._deleted.popitem(last=False)

    def replace(self, pods: Collection[Pod]) -> None:
        """Replace the pods by those of a new list; pods that it does not contain are removed."""
        for uid in set(self._running) - {pod.uid for pod in pods}:
            self.remove(uid)
        for pod in pods:
            self.put(pod)

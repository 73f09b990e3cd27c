"""What the watches have shown: the newest known version of every object, by owner.

Objects are kept as JSON bytes (a third of the memory of parsed ones) without managedFields; of an agent, who wrote its
trading mode is kept. It never asks the API server and decides nothing; a version older than the known one is ignored,
so that an API server that lags cannot take us back in time. What is told deleted stays so: the answer to a write may
arrive after the news of the deletion.
"""

import json
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NewType

import orjson

from purpleflea_contract import kubernetes
from purpleflea_operator.kube.resources import AGENT, ResourceKind
from purpleflea_operator.parsing import Manifest, resource_version, table

Uid = NewType("Uid", str)

MAX_TOMBSTONES = 10_000
"""So many deleted objects are remembered; a late answer is late by seconds."""


@dataclass(frozen=True, slots=True, order=True)
class NamespacedName:
    """The address of an agent resource."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    owner: NamespacedName | None
    body: bytes


def owner_of(manifest: Manifest) -> NamespacedName | None:
    """The agent that controls `manifest`, followed over pods by their labels; None for strangers."""
    metadata = manifest["metadata"]
    if manifest["kind"] == AGENT.kind:
        return NamespacedName(metadata["namespace"], metadata["name"])
    instance = table(metadata.get("labels")).get(kubernetes.LABEL_INSTANCE)
    return NamespacedName(metadata["namespace"], instance) if instance else None


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))


def _dumped(manifest: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(manifest)
    except TypeError:
        # A free-form field can hold an integer of more than 64 bits.
        return json.dumps(manifest).encode()


class ObjectCache:
    """The newest known version of every watched object."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Uid, _Entry]] = defaultdict(dict)
        self._by_owner: dict[tuple[str, NamespacedName], set[Uid]] = defaultdict(set)
        self._graves: OrderedDict[Uid, None] = OrderedDict()

    def is_outdated(self, manifest: Manifest) -> bool:
        """Whether something newer is known of this object, be it that it is deleted."""
        uid = Uid(manifest["metadata"]["uid"])
        known = self._objects[manifest["kind"]].get(uid)
        return uid in self._graves or (known is not None and _version(manifest) < known.version)

    def put(self, manifest: Manifest) -> bool:
        """Remember `manifest`; False where it is known already, or older than what is known."""
        kind, uid = manifest["kind"], Uid(manifest["metadata"]["uid"])
        known = self._objects[kind].get(uid)
        version = _version(manifest)
        if uid in self._graves or (known is not None and version <= known.version):
            return False
        owner = owner_of(manifest)
        if known is not None and known.owner != owner:
            self._unlink(kind, uid, known.owner)
        self._objects[kind][uid] = _Entry(version, owner, _dumped(_slim(manifest)))
        if owner is not None:
            self._by_owner[kind, owner].add(uid)
        return True

    def drop(self, kind: ResourceKind, uid: str) -> NamespacedName | None:
        """Forget an object; returns the agent it belonged to."""
        entry = self._objects[kind.kind].pop(Uid(uid), None)
        if entry is None:
            return None
        self._unlink(kind.kind, Uid(uid), entry.owner)
        return entry.owner

    def bury(self, kind: ResourceKind, uid: str) -> NamespacedName | None:
        """Forget an object that the API server has told deleted, for good; returns the agent it belonged to."""
        self._graves[Uid(uid)] = None
        if len(self._graves) > MAX_TOMBSTONES:
            self._graves.popitem(last=False)
        return self.drop(kind, uid)

    def sweep(
        self, kind: ResourceKind, alive: Iterable[str], *, version: int
    ) -> list[NamespacedName]:
        """Forget objects that a list of `version` no longer shows; returns the agents they belonged to.

        After a watch that had to start over, deletions in between are never reported.
        """
        keep = set(alive)
        gone = [
            uid
            for uid, entry in self._objects[kind.kind].items()
            if uid not in keep and entry.version <= version
        ]
        owners = (self.bury(kind, uid) for uid in gone)
        return [owner for owner in owners if owner is not None]

    def owned(self, kind: ResourceKind, key: NamespacedName) -> list[dict[str, Any]]:
        """Objects of a kind that belong to an agent."""
        objects = self._objects[kind.kind]
        return [orjson.loads(objects[uid].body) for uid in self._by_owner.get((kind.kind, key), ())]

    def agent(self, key: NamespacedName) -> dict[str, Any] | None:
        """The agent resource itself: the newest where an old incarnation is not yet seen gone."""
        found = self.owned(AGENT, key)
        return max(found, key=_version) if found else None

    def all(self, kind: ResourceKind) -> Iterator[dict[str, Any]]:
        """All objects of a kind."""
        for entry in self._objects[kind.kind].values():
            yield orjson.loads(entry.body)

    def agent_keys(self) -> list[NamespacedName]:
        """All agents, sorted."""
        return sorted({entry.owner for entry in self._objects[AGENT.kind].values() if entry.owner})

    def _unlink(self, kind: str, uid: Uid, owner: NamespacedName | None) -> None:
        if owner is not None:
            uids = self._by_owner[kind, owner]
            uids.discard(uid)
            if not uids:
                del self._by_owner[kind, owner]


def _slim(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    if manifest["kind"] == AGENT.kind:
        writers = [
            {"manager": entry.get("manager", ""), "time": entry.get("time", "")}
            for entry in manifest["metadata"].get("managedFields", ())
            if _owns_mode(entry)
        ]
        metadata.update({"managedFields": writers} if writers else {})
    return {**manifest, "metadata": metadata}


def _owns_mode(entry: Mapping[str, Any]) -> bool:
    fields: Any = entry.get("fieldsV1")
    for name in ("f:spec", "f:trading", "f:mode"):
        fields = fields.get(name) if isinstance(fields, Mapping) else None
    return fields is not None

"""Cache of the objects that the watches reported: the newest known version of every object, indexed by agent.

Objects are stored as JSON bytes, which need a third of the memory of parsed objects, and without managedFields. For
agents the manager of spec.trading.mode is kept; for children, that a POST of the operator set fields. The module must
not send requests or decide anything.

Two rules keep outdated versions out of the cache. A version older than the known one is ignored, because an API server
that lags may report it. A deleted object leaves a tombstone, because the response to a write may arrive after the
DELETED event and would otherwise add the object again, with no later event to remove it.
"""

import json
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NewType

import orjson

from purpleflea_contract import kubernetes
from purpleflea_operator.kube import managed_fields
from purpleflea_operator.kube.resources import AGENT, CHILDREN, ResourceKind
from purpleflea_operator.parsing import Manifest, mapping, resource_version

Uid = NewType("Uid", str)

_CHILDREN = frozenset(kind.kind for kind in CHILDREN)

MAX_TOMBSTONES = 10_000
"""Number of deleted objects that are remembered. A response is late by seconds, so older tombstones are not needed."""


@dataclass(frozen=True, slots=True, order=True)
class NamespacedName:
    """Namespace and name of an agent resource."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    owner: NamespacedName | None
    body: bytes


def owner_of(manifest: Manifest) -> NamespacedName | None:
    """Return the agent that `manifest` belongs to by its label, or None if it belongs to no agent."""
    metadata = manifest["metadata"]
    if manifest["kind"] == AGENT.kind:
        return NamespacedName(metadata["namespace"], metadata["name"])
    instance = mapping(metadata.get("labels")).get(kubernetes.LABEL_INSTANCE)
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
    """Newest known version of every watched object."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Uid, _Entry]] = defaultdict(dict)
        self._by_owner: dict[tuple[str, NamespacedName], set[Uid]] = defaultdict(set)
        self._tombstones: OrderedDict[Uid, None] = OrderedDict()

    def is_outdated(self, manifest: Manifest) -> bool:
        """Return True if a newer version or the deletion of this object is known."""
        uid = Uid(manifest["metadata"]["uid"])
        known = self._objects[manifest["kind"]].get(uid)
        return uid in self._tombstones or (known is not None and _version(manifest) < known.version)

    def put(self, manifest: Manifest) -> bool:
        """Store `manifest`. Return False if this or a newer version is known, or the object is deleted."""
        kind, uid = manifest["kind"], Uid(manifest["metadata"]["uid"])
        known = self._objects[kind].get(uid)
        version = _version(manifest)
        if uid in self._tombstones or (known is not None and version <= known.version):
            return False
        owner = owner_of(manifest)
        if known is not None and known.owner != owner:
            self._unlink(kind, uid, known.owner)
        self._objects[kind][uid] = _Entry(version, owner, _dumped(_strip(manifest)))
        if owner is not None:
            self._by_owner[kind, owner].add(uid)
        return True

    def drop(self, kind: ResourceKind, uid: str) -> NamespacedName | None:
        """Remove an object without a tombstone. Return the agent that it belonged to."""
        entry = self._objects[kind.kind].pop(Uid(uid), None)
        if entry is None:
            return None
        self._unlink(kind.kind, Uid(uid), entry.owner)
        return entry.owner

    def mark_deleted(self, kind: ResourceKind, uid: str) -> NamespacedName | None:
        """Remove an object that the API server reported as deleted, and leave a tombstone. Return its agent."""
        self._tombstones[Uid(uid)] = None
        if len(self._tombstones) > MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)
        return self.drop(kind, uid)

    def sweep(
        self, kind: ResourceKind, alive: Iterable[str], *, version: int
    ) -> list[NamespacedName]:
        """Remove objects that are missing in a list of `version`. Return the agents that they belonged to.

        This is needed after a watch ended with 410 Gone. kopf then lists again and reports the existing objects, but
        no event reports the objects that were deleted in between. Objects newer than the list are kept, because they
        were created after it.
        """
        keep = set(alive)
        gone = [
            uid
            for uid, entry in self._objects[kind.kind].items()
            if uid not in keep and entry.version <= version
        ]
        owners = (self.mark_deleted(kind, uid) for uid in gone)
        return [owner for owner in owners if owner is not None]

    def owned(self, kind: ResourceKind, key: NamespacedName) -> list[dict[str, Any]]:
        """Return the objects of a kind that belong to an agent."""
        objects = self._objects[kind.kind]
        return [orjson.loads(objects[uid].body) for uid in self._by_owner.get((kind.kind, key), ())]

    def agent(self, key: NamespacedName) -> dict[str, Any] | None:
        """Return the agent resource, or None.

        If an agent was deleted and created again, both may be cached until the DELETED event arrives. The newest is
        returned.
        """
        agents = self.owned(AGENT, key)
        return max(agents, key=_version) if agents else None

    def all(self, kind: ResourceKind) -> Iterator[dict[str, Any]]:
        """Yield all objects of a kind."""
        for entry in self._objects[kind.kind].values():
            yield orjson.loads(entry.body)

    def agent_keys(self) -> list[NamespacedName]:
        """Return all agents, sorted."""
        return sorted({entry.owner for entry in self._objects[AGENT.kind].values() if entry.owner})

    def _unlink(self, kind: str, uid: Uid, owner: NamespacedName | None) -> None:
        if owner is not None:
            uids = self._by_owner[kind, owner]
            uids.discard(uid)
            if not uids:
                del self._by_owner[kind, owner]


def _strip(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    if manifest["kind"] in _CHILDREN and managed_fields.needs_conversion(manifest):
        metadata["managedFields"] = [managed_fields.CREATED]
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

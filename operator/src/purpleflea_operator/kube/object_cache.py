"""Cache of the objects that the watches reported: the newest known version of every object, indexed by agent.

Objects are stored without managedFields, as compressed JSON: the objects of a kind are similar, so with one of them as
the dictionary a StatefulSet needs 300 bytes instead of 6,000, at 15 us per write and 3 us per read. For agents the
manager of spec.trading.mode is kept; for children, that a POST of the operator set fields. The module must not send
requests or decide anything.

Two rules keep outdated versions out of the cache. A version older than the known one is ignored, because an API server
that lags may report it. A deleted object leaves a tombstone, because the response to a write may arrive after the
DELETED event and would otherwise add the object again, with no later event to remove it.
"""

import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple, NewType, TypeVar

import orjson

from purpleflea_contract import kubernetes
from purpleflea_operator.kube import kept_metadata, managed_fields
from purpleflea_operator.kube.resources import AGENT, CHILDREN, ResourceKind
from purpleflea_operator.kube.tombstones import Tombstones
from purpleflea_operator.parsing import Manifest, mapping, resource_version

Uid = NewType("Uid", str)
K = TypeVar("K")
V = TypeVar("V")

_CHILDREN = frozenset(kind.kind for kind in CHILDREN)

_UNUSED = ("finalizers", "ownerReferences")
"""Fields of the metadata of an agent that no decision needs. Users may write 1.4 MB into each."""
_WINDOW = 15
"""Base-2 logarithm of the window of the compression; a longer dictionary has no effect."""
_POOR = 4
"""An object that is not compressed to less than this fraction of its size differs from the dictionary of its kind."""
_POOR_LIMIT = 32
"""The dictionary of a kind is replaced after this many objects that differ from it."""


class NamespacedName(NamedTuple):
    """Namespace and name of an agent resource.

    A tuple and not a dataclass, because each event hashes several, and a start sorts all: 10,000 in 13 ms instead of
    40 ms.
    """

    namespace: str
    name: str


class _Entry:
    """A stored object. `body` is compressed with `dictionary`, which many entries share."""

    __slots__ = ("body", "dictionary", "namespace", "owner", "version")

    def __init__(self, version: int, namespace: str, owner: NamespacedName | None) -> None:
        self.version = version
        self.namespace = namespace
        self.owner = owner
        self.body = b""
        self.dictionary = b""

    def manifest(self) -> dict[str, Any]:
        """Return the object as a new value."""
        stream = zlib.decompressobj(-_WINDOW, self.dictionary)
        manifest: dict[str, Any] = orjson.loads(stream.decompress(self.body))
        return manifest


class _Compressor:
    """Compresses the objects of one kind, with one of them as the dictionary."""

    def __init__(self) -> None:
        self._dictionary = b""
        self._poor = 0

    def store(self, entry: _Entry, payload: bytes) -> None:
        """Set the body of an entry."""
        if not self._dictionary or self._poor >= _POOR_LIMIT:
            self._dictionary, self._poor = payload[-(1 << _WINDOW) :], 0
        stream = zlib.compressobj(
            1, zlib.DEFLATED, -_WINDOW, 9, zlib.Z_DEFAULT_STRATEGY, self._dictionary
        )
        entry.body = stream.compress(payload) + stream.flush()
        entry.dictionary = self._dictionary
        self._poor += len(entry.body) * _POOR > len(payload)


def owner_of(manifest: Manifest) -> NamespacedName | None:
    """Return the agent that `manifest` belongs to by its label, or None if it belongs to no agent."""
    metadata = manifest["metadata"]
    if manifest["kind"] == AGENT.kind:
        return NamespacedName(sys.intern(metadata["namespace"]), metadata["name"])
    instance = mapping(metadata.get("labels")).get(kubernetes.LABEL_INSTANCE)
    return NamespacedName(sys.intern(metadata["namespace"]), instance) if instance else None


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))


def _dumped(manifest: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(manifest)
    except TypeError:
        # A free-form field can hold an integer of more than 64 bits.
        return json.dumps(manifest).encode()


class ObjectCache:
    """Newest known version of every watched object.

    With `has_namespaces`, each kind is listed in several namespaces, so the objects of each are indexed. One list of
    the whole cluster needs no index.
    """

    def __init__(self, *, has_namespaces: bool = False) -> None:
        self._objects: dict[str, dict[Uid, _Entry]] = defaultdict(dict)
        self._has_namespaces = has_namespaces
        self._by_namespace: dict[tuple[str, str], dict[Uid, None]] = defaultdict(dict)
        """By kind and namespace, if there are several lists of each kind."""
        self._agents: dict[str, dict[NamespacedName, None]] = defaultdict(dict)
        """The agent resources of each namespace."""
        self._by_owner: dict[str, dict[NamespacedName, tuple[Uid, ...]]] = defaultdict(dict)
        self._owners: dict[NamespacedName, NamespacedName] = {}
        """One instance per agent, which all its objects share."""
        self._compressors: dict[str, _Compressor] = defaultdict(_Compressor)
        self._tombstones = Tombstones()

    def is_outdated(self, manifest: Manifest) -> bool:
        """Return True if a newer version or the deletion of this object is known."""
        uid = Uid(manifest["metadata"]["uid"])
        known = self._objects[manifest["kind"]].get(uid)
        version = _version(manifest)
        return self._tombstones.covers(uid, version) or (
            known is not None and version < known.version
        )

    def put(self, manifest: Manifest) -> bool:
        """Store `manifest`. Return False if this or a newer version is known, or the object is deleted."""
        kind, uid = manifest["kind"], Uid(manifest["metadata"]["uid"])
        known = self._objects[kind].get(uid)
        version = _version(manifest)
        if self._tombstones.covers(uid, version) or (
            known is not None and version <= known.version
        ):
            return False
        self._tombstones.discard(uid)
        owner = self._shared(owner_of(manifest))
        entry = _Entry(version, sys.intern(manifest["metadata"].get("namespace", "")), owner)
        self._compressors[kind].store(entry, _dumped(_strip(manifest)))
        if known is not None and known.owner != owner:
            self._unlink(kind, uid, known.owner)
        self._objects[kind][uid] = entry
        if self._has_namespaces:
            self._by_namespace[kind, entry.namespace][uid] = None
        if kind == AGENT.kind and owner is not None:
            self._agents[owner.namespace][owner] = None
        if owner is not None and (known is None or known.owner != owner):
            by_owner = self._by_owner[kind]
            by_owner[owner] = (*by_owner.get(owner, ()), uid)
        return True

    def _shared(self, owner: NamespacedName | None) -> NamespacedName | None:
        if owner is None or owner in self._owners:
            return None if owner is None else self._owners[owner]
        self._owners[owner] = owner
        return owner

    def drop(self, kind: ResourceKind, uid: str) -> NamespacedName | None:
        """Remove an object without a tombstone. Return the agent that it belonged to."""
        entry = self._objects[kind.kind].pop(Uid(uid), None)
        if entry is None:
            return None
        if self._has_namespaces:
            _discard(self._by_namespace, (kind.kind, entry.namespace), Uid(uid))
        self._unlink(kind.kind, Uid(uid), entry.owner)
        return entry.owner

    def mark_deleted(
        self, kind: ResourceKind, uid: str, *, version: int = 0
    ) -> NamespacedName | None:
        """Remove an object that the API server reported as deleted, and leave a tombstone. Return its agent.

        A watch with a selector also reports an object as deleted if its labels do not match any more. Such an object is
        not older than `version`, the version of the event, but a deleted one is. Without a version, the object is gone.
        """
        self._tombstones.add(uid, version=version)
        return self.drop(kind, uid)

    def missing_in(
        self, kind: ResourceKind, alive: Container[str], *, version: int, namespace: str = ""
    ) -> list[Uid]:
        """Return the objects that a list of `version` does not contain, although they are in its namespace.

        No event reports an object that was deleted while its watch was interrupted. Objects newer than the list are
        left out, because they were created after it. Without a namespace, the list has the whole cluster. The cost is
        that of reading the list: only objects of its namespace are compared.
        """
        objects = self._objects[kind.kind]
        is_indexed = self._has_namespaces and bool(namespace)
        uids = self._by_namespace.get((kind.kind, namespace), {}) if is_indexed else objects
        return [
            uid
            for uid in uids
            if uid not in alive
            and objects[uid].version <= version
            and namespace in ("", objects[uid].namespace)
        ]

    def owned(self, kind: ResourceKind, key: NamespacedName) -> list[dict[str, Any]]:
        """Return the objects of a kind that belong to an agent."""
        objects = self._objects[kind.kind]
        return [objects[uid].manifest() for uid in self._by_owner[kind.kind].get(key, ())]

    def get(self, kind: ResourceKind, uid: str) -> dict[str, Any] | None:
        """Return an object by its UID, or None."""
        entry = self._objects[kind.kind].get(Uid(uid))
        return None if entry is None else entry.manifest()

    def agent(self, key: NamespacedName) -> dict[str, Any] | None:
        """Return the agent resource, or None.

        If an agent was deleted and created again, both may be cached until the DELETED event arrives. The newest is
        returned.
        """
        agents = self.owned(AGENT, key)
        return max(agents, key=_version) if agents else None

    def all(self, kind: ResourceKind) -> Iterator[dict[str, Any]]:
        """Yield all objects of a kind that are stored now. The cache may change in the meantime."""
        for entry in list(self._objects[kind.kind].values()):
            yield entry.manifest()

    def agent_keys(self) -> list[NamespacedName]:
        """Return all agents."""
        return list(self._by_owner[AGENT.kind])

    def agents_in(self, namespace: str) -> list[NamespacedName]:
        """Return the agents of a namespace."""
        return list(self._agents.get(namespace, ()))

    def _unlink(self, kind: str, uid: Uid, owner: NamespacedName | None) -> None:
        if owner is None:
            return
        by_owner = self._by_owner[kind]
        left = tuple(item for item in by_owner[owner] if item != uid)
        if left:
            by_owner[owner] = left
            return
        del by_owner[owner]
        if kind == AGENT.kind:
            _discard(self._agents, owner.namespace, owner)
        if not any(owner in known for known in self._by_owner.values()):
            self._owners.pop(owner, None)


def _discard(index: dict[K, dict[V, None]], key: K, value: V) -> None:
    """Remove a value from an index, and the key with its last value."""
    values = index.get(key, {})
    values.pop(value, None)
    if not values:
        index.pop(key, None)


def _strip(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    if manifest["kind"] in _CHILDREN and managed_fields.needs_conversion(manifest):
        metadata["managedFields"] = [managed_fields.CREATED]
    if manifest["kind"] == AGENT.kind:
        for unused in _UNUSED:
            metadata.pop(unused, None)
        if "annotations" in metadata:
            metadata["annotations"] = kept_metadata.agent_annotations(metadata)
        if "labels" in metadata:
            metadata["labels"] = kept_metadata.agent_labels(metadata)
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

"""Objects of the fake API server: indexes, versions, history, deletion and garbage collection.

Stored objects are never changed in place, so readers may keep references. The store is thread-safe. It must not handle
HTTP, patches or the rules of field ownership.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson

from support.apiserver.errors import not_found
from support.apiserver.fields import Owners, managed_fields
from support.apiserver.kinds import Kind, Obj

Key = tuple[Kind, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    obj: Obj
    owners: Owners


@dataclass(slots=True, kw_only=True)
class Change:
    """Change of an object. `before` is None for a create, and `after` is the last state."""

    version: int
    before: Obj | None
    after: Obj
    deleted: bool = False
    lines: dict[str, bytes] = field(default_factory=dict)

    def line(self, event_type: str) -> bytes:
        """Return the encoded watch event. It is encoded once for all streams."""
        if event_type not in self.lines:
            event = {"type": event_type, "object": self.after}
            self.lines[event_type] = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        return self.lines[event_type]


@dataclass(slots=True, kw_only=True)
class Table:
    namespaces: dict[str, dict[str, Record]] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    oldest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    version: int
    records: list[tuple[Kind, Record]]


Subscriber = Callable[[Kind, Change], None]


class Store:
    def __init__(self, *, now: Callable[[], datetime], history_limit: int) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1
        self.kinds: dict[tuple[str, str, str], Kind] = {}
        self.subscribers: list[Subscriber] = []
        self.held: set[str] = set()
        """UIDs of objects that exist until `release`, such as pods whose containers have to end first."""
        self._tables: dict[Kind, Table] = {}
        self._by_uid: dict[str, Key] = {}
        self._children: dict[str, dict[Key, None]] = {}
        self._is_dry = False
        self._now = now
        self._history_limit = history_limit

    @contextlib.contextmanager
    def dry_run(self, *, is_dry: bool) -> Iterator[None]:
        """Store no object meanwhile, if `is_dry`. The caller holds the lock."""
        version, self._is_dry = self.version, is_dry
        try:
            yield
        finally:
            self._is_dry = False
            self.version = version if is_dry else self.version

    def register(self, kind: Kind) -> None:
        with self.lock:
            self.kinds[kind.group, kind.version, kind.plural] = kind
            self._tables[kind] = Table()

    def unregister(self, kind: Kind) -> None:
        """Remove a kind and its objects, as if its CRD is deleted."""
        with self.lock:
            for record in list(self.records(kind)):
                self._remove(kind, record)
            del self.kinds[kind.group, kind.version, kind.plural]

    def timestamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def table(self, kind: Kind) -> Table:
        return self._tables[kind]

    def find(self, kind: Kind, namespace: str, name: str) -> Record | None:
        return self._tables[kind].namespaces.get(namespace, {}).get(name)

    def require(self, kind: Kind, namespace: str, name: str) -> Record:
        record = self.find(kind, namespace, name)
        if record is None:
            raise not_found(kind.resource, name)
        return record

    def records(self, kind: Kind, namespace: str = "") -> Iterator[Record]:
        """Yield the records sorted by namespace and name, as in a list of a real server."""
        table = self._tables[kind].namespaces
        for space in [namespace] if namespace or not kind.namespaced else sorted(table):
            for _, record in sorted(table.get(space, {}).items()):
                yield record

    def is_alive(self, uid: str) -> bool:
        return uid in self._by_uid

    def children(self, uid: str, kind: Kind) -> Iterator[Record]:
        """Yield the objects of a kind with this owner."""
        for key in list(self._children.get(uid, ())):
            if key[0] is kind:
                yield self.require(*key)

    def insert(self, kind: Kind, obj: Obj, owners: Owners) -> Record:
        """Store a new object and set the fields that the server owns."""
        metadata = {
            "uid": new_uid(),
            "creationTimestamp": self.timestamp(),
            **obj["metadata"],
            **({"generation": 1} if kind.counts_generations else {}),
        }
        record = self._stamped(kind, {**obj, "metadata": metadata}, owners)
        self._place(kind, None, record)
        return record

    def replace(self, kind: Kind, before: Record, obj: Obj, owners: Owners) -> Record:
        """Store the next state of an object. Complete its deletion if no finalizer is left."""
        if obj == before.obj and owners == before.owners:
            return before
        metadata = dict(obj["metadata"])
        if kind.counts_generations and _spec(obj) != _spec(before.obj):
            metadata["generation"] = metadata.get("generation", 0) + 1
        record = self._stamped(kind, {**obj, "metadata": metadata}, owners)
        if "deletionTimestamp" in metadata and not self._is_held(kind, record.obj):
            return self._remove(kind, record)
        self._place(kind, before, record)
        return record

    def delete(self, kind: Kind, record: Record, *, orphan: bool = False) -> Record:
        """Delete the object, or set deletionTimestamp if it has finalizers."""
        uid = record.obj["metadata"]["uid"]
        if orphan:
            for child in list(self._children.get(uid, ())):
                self._drop_owner(child, uid)
        if _is_namespace(kind):
            self._empty(record.obj["metadata"]["name"])
        if not self._is_held(kind, record.obj):
            return self._remove(kind, record)
        if "deletionTimestamp" in record.obj["metadata"]:
            return record
        metadata = dict(record.obj["metadata"])
        metadata["deletionTimestamp"] = self.timestamp()
        metadata["deletionGracePeriodSeconds"] = 0
        if "generation" in metadata:
            metadata["generation"] += 1
        ending = {"status": {"phase": "Terminating"}} if _is_namespace(kind) else {}
        obj = {**record.obj, **ending, "metadata": metadata}
        marked = self._stamped(kind, obj, record.owners)
        self._place(kind, record, marked)
        return marked

    def release(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Stop to hold an object, and complete its deletion."""
        with self.lock:
            self.held.discard(uid)
            record = self.find(kind, namespace, name)
            if record is None or record.obj["metadata"]["uid"] != uid:
                return
            if "deletionTimestamp" in record.obj["metadata"] and not self._is_held(
                kind, record.obj
            ):
                self._remove(kind, record)

    def collect(self, kind: Kind, record: Record) -> None:
        """Delete the object if none of its owners exists. Otherwise remove only references to missing owners."""
        references = record.obj["metadata"].get("ownerReferences", ())
        alive = [reference for reference in references if self.is_alive(reference["uid"])]
        if references and not alive:
            self.delete(kind, record)
        elif len(alive) < len(references):
            metadata = {**record.obj["metadata"], "ownerReferences": alive}
            self.replace(kind, record, {**record.obj, "metadata": metadata}, record.owners)

    def compact(self) -> int:
        """Remove all history, so that no watch can resume from a version that was sent before."""
        with self.lock:
            self.version += 1
            for table in self._tables.values():
                table.history.clear()
                table.oldest = self.version
            return self.version

    def snapshot(self) -> "Snapshot":
        """Return all objects and their version, as a backup of etcd."""
        with self.lock:
            records = [
                (kind, record) for kind in self.kinds.values() for record in self.records(kind)
            ]
            return Snapshot(version=self.version, records=records)

    def restore(self, snapshot: "Snapshot") -> None:
        """Return to a backup. The resource versions go back, and there is no history."""
        with self.lock:
            self._tables = {kind: Table(oldest=snapshot.version) for kind in self.kinds.values()}
            self._by_uid.clear()
            self._children.clear()
            self.version = snapshot.version
            for kind, record in snapshot.records:
                metadata = record.obj["metadata"]
                key = (kind, metadata.get("namespace", ""), metadata["name"])
                self._tables[kind].namespaces.setdefault(key[1], {})[key[2]] = record
                self._by_uid[metadata["uid"]] = key
                for reference in metadata.get("ownerReferences", ()):
                    self._children.setdefault(reference["uid"], {})[key] = None
            self.changed.notify_all()

    def _stamped(self, kind: Kind, obj: Obj, owners: Owners) -> Record:
        self.version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.version)}
        metadata.pop("managedFields", None)
        if owners:
            metadata["managedFields"] = managed_fields(owners)
        stamped = {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}
        return Record(obj=stamped, owners=owners)

    def _place(self, kind: Kind, before: Record | None, record: Record) -> None:
        if self._is_dry:
            return
        metadata = record.obj["metadata"]
        key = (kind, metadata.get("namespace", ""), metadata["name"])
        self._tables[kind].namespaces.setdefault(key[1], {})[key[2]] = record
        self._by_uid[metadata["uid"]] = key
        was = before.obj["metadata"].get("ownerReferences", ()) if before else ()
        for reference in was:
            self._children.get(reference["uid"], {}).pop(key, None)
        for reference in metadata.get("ownerReferences", ()):
            self._children.setdefault(reference["uid"], {})[key] = None
        self._publish(kind, before.obj if before else None, record.obj)

    def _remove(self, kind: Kind, record: Record) -> Record:
        metadata = record.obj["metadata"]
        key = (kind, metadata.get("namespace", ""), metadata["name"])
        before = self._tables[kind].namespaces[key[1]].pop(key[2])
        del self._by_uid[metadata["uid"]]
        for reference in before.obj["metadata"].get("ownerReferences", ()):
            self._children.get(reference["uid"], {}).pop(key, None)
        last = replace(record, obj=self._stamped(kind, record.obj, record.owners).obj)
        self._publish(kind, before.obj, last.obj, deleted=True)
        for child in list(self._children.pop(metadata["uid"], ())):
            orphan = self.find(*child)
            if orphan is not None:
                self.collect(child[0], orphan)
        self._release_namespace(key[1])
        return last

    def _publish(
        self, kind: Kind, before: Obj | None, after: Obj, *, deleted: bool = False
    ) -> None:
        table = self._tables[kind]
        version = int(after["metadata"]["resourceVersion"])
        change = Change(version=version, before=before, after=after, deleted=deleted)
        table.history.append(change)
        if len(table.history) > self._history_limit:
            table.oldest = table.history.popleft().version
        for subscriber in self.subscribers:
            subscriber(kind, change)
        self.changed.notify_all()

    def _drop_owner(self, child: Key, uid: str) -> None:
        record = self.require(*child)
        metadata = dict(record.obj["metadata"])
        metadata["ownerReferences"] = [r for r in metadata["ownerReferences"] if r["uid"] != uid]
        self.replace(child[0], record, {**record.obj, "metadata": metadata}, record.owners)

    def _is_held(self, kind: Kind, obj: Obj) -> bool:
        name = obj["metadata"]["name"]
        is_full = _is_namespace(kind) and any(self._contents(name))
        has_finalizers = bool(obj["metadata"].get("finalizers"))
        return is_full or has_finalizers or obj["metadata"].get("uid") in self.held

    def _contents(self, namespace: str) -> Iterator[tuple[Kind, Record]]:
        for kind, table in self._tables.items():
            if kind.namespaced:
                for record in table.namespaces.get(namespace, {}).values():
                    yield kind, record

    def _empty(self, namespace: str) -> None:
        for kind, record in list(self._contents(namespace)):
            name = record.obj["metadata"]["name"]
            current = self.find(kind, namespace, name)
            if current is not None:
                self.delete(kind, current)

    def _release_namespace(self, namespace: str) -> None:
        kind = self.kinds.get(("", "v1", "namespaces"))
        record = self.find(kind, "", namespace) if kind and namespace else None
        if kind is None or record is None or self._is_held(kind, record.obj):
            return
        if "deletionTimestamp" in record.obj["metadata"]:
            self._remove(kind, record)


def new_uid() -> str:
    return str(uuid4())


def _spec(obj: Obj) -> dict[str, Any]:
    return {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata", "status")}


def _is_namespace(kind: Kind) -> bool:
    return kind.kind == "Namespace" and not kind.group

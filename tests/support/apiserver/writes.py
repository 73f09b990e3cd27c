"""Write requests: create, update, patch, apply, scale and delete, with their validation.

The module computes the next state of an object. The store saves it and handles the consequences.
"""

import copy
import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.apiserver import errors, fields, patches
from support.apiserver.errors import ApiError
from support.apiserver.fields import Manager, Owners
from support.apiserver.kinds import Kind, Obj
from support.apiserver.store import Record, Store

_SYSTEM = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
)
_EMPTYABLE = ("labels", "annotations", "finalizers", "ownerReferences")
Change = Callable[[Obj], Obj]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Object of a request and field manager of the client."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    manager: str = "test"

    def field_manager(self, operation: str) -> Manager:
        return Manager(
            name=self.manager,
            operation=operation,
            api_version=self.kind.api_version,
            subresource=self.subresource,
        )


class Writer:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._suffixes = itertools.count(1)
        self.webhooks: dict[tuple[str, str], list[Change]] = defaultdict(list)
        """Changes of every written object by admission webhooks, by kind and subresource."""

    def create(self, target: Target, obj: Obj) -> Record:
        body = self._new_object(target, obj)
        leaves = fields.leaves(target.kind, _applicable(target, body))
        manager, now = target.field_manager("Update"), self._store.timestamp()
        owners = fields.after_update({}, {}, leaves, manager, now)
        return self._insert(target, self._admitted(target, body), owners)

    def review(self, target: Target, obj: Obj) -> Obj:
        """Return the answer to an object that is not stored."""
        metadata = {"creationTimestamp": self._store.timestamp()}
        return self._admitted(target, {**obj, "metadata": metadata})

    def update(self, target: Target, change: Change) -> Record:
        """Replace an object by the result of `change` for its present state."""
        kind = target.kind
        record = self._store.require(kind, target.namespace, target.name)
        proposed = change(record.obj)
        self._check_preconditions(target, record, proposed)
        obj = _accepted(target, record.obj, self._admitted(target, proposed))
        owners = record.owners
        sent = proposed.get("metadata", {}).get("managedFields")
        if sent is not None and sent != record.obj["metadata"].get("managedFields"):
            owners = fields.owners_from(sent)
        if obj != record.obj:
            before, after = fields.leaves(kind, record.obj), fields.leaves(kind, obj)
            manager, now = target.field_manager("Update"), self._store.timestamp()
            owners = fields.after_update(owners, before, after, manager, now)
        return self._store.replace(kind, record, obj, owners)

    def apply(self, target: Target, config: Obj, *, force: bool) -> tuple[Record, bool]:
        """Apply a configuration with server-side apply. Return True if the object is new."""
        kind = target.kind
        if config.get("metadata", {}).get("managedFields"):
            raise ApiError(400, "metadata.managedFields must be nil")
        record = self._store.find(kind, target.namespace, target.name)
        if record is None and target.subresource:
            raise errors.not_found(kind.resource, target.name)
        manager, now = target.field_manager("Apply"), self._store.timestamp()
        if record is None:
            if config.get("metadata", {}).get("uid"):
                raise errors.missing_uid(kind.resource, target.name, config["metadata"]["uid"])
            body = self._new_object(target, config)
            applicable = _applicable(target, body)
            _, owners = patches.server_side_apply(kind, {}, {}, applicable, (manager, now, force))
            return self._insert(target, self._admitted(target, body), owners), True
        self._check_preconditions(target, record, config)
        merged, owners = patches.server_side_apply(
            kind, record.obj, record.owners, _applicable(target, config), (manager, now, force)
        )
        obj = _accepted(target, record.obj, self._admitted(target, merged))
        return self._store.replace(kind, record, obj, owners), False

    def scale(self, target: Target, change: Change) -> Obj:
        """Change the replicas through the scale subresource."""

        def scaled(obj: Obj) -> Obj:
            wanted = change(scale_of(obj)).get("spec", {}).get("replicas", 0)
            return {**obj, "spec": {**obj.get("spec", {}), "replicas": wanted}}

        return scale_of(self.update(target, scaled).obj)

    def delete(self, target: Target, options: Obj) -> Record:
        record = self._store.require(target.kind, target.namespace, target.name)
        metadata = record.obj["metadata"]
        for name, wanted in options.get("preconditions", {}).items():
            if metadata[name] != wanted:
                raise ApiError(
                    409,
                    f'Operation cannot be fulfilled on {target.kind.resource} "{target.name}": '
                    f"Precondition failed: {name} in precondition: {wanted}, "
                    f"{name} in object meta: {metadata[name]}",
                )
        orphan = options.get("propagationPolicy") == "Orphan"
        return self._store.delete(target.kind, record, orphan=orphan)

    def put(self, target: Target, obj: Obj) -> Record:
        """Store the object without validation. If it has no status, the present status is kept."""
        found = self._store.find(target.kind, target.namespace, target.name)
        before = found.obj if found else {}
        system = {k: v for k, v in before.get("metadata", {}).items() if k in _SYSTEM}
        metadata = {**system, **obj["metadata"]}
        for name in ("managedFields", "generation", "resourceVersion"):
            metadata.pop(name, None)
            metadata.update({name: system[name]} if name in system else {})
        status = {"status": before["status"]} if "status" in before else {}
        body = {**status, **obj, "metadata": metadata}
        leaves = fields.leaves(target.kind, before), fields.leaves(target.kind, body)
        manager, now = target.field_manager("Update"), self._store.timestamp()
        owners = fields.after_update(found.owners if found else {}, *leaves, manager, now)
        if found is None:
            return self._store.insert(target.kind, body, owners)
        return self._store.replace(target.kind, found, body, owners)

    def _admitted(self, target: Target, obj: Obj) -> Obj:
        """Return the object as the admission webhooks leave it."""
        for change in self.webhooks[target.kind.kind, target.subresource]:
            obj = change(copy.deepcopy(obj))
        return obj

    def _insert(self, target: Target, body: Obj, owners: Owners) -> Record:
        record = self._store.insert(target.kind, body, owners)
        # A real garbage collector is slower. A client that cannot rely on this delay is the harder test.
        self._store.collect(target.kind, record)
        return record

    def _new_object(self, target: Target, obj: Obj) -> Obj:
        kind, sent = target.kind, obj.get("metadata", {})
        name = sent.get("name") or target.name
        if not name and sent.get("generateName"):
            name = f"{sent['generateName']}{next(self._suffixes):05x}"
        if not name:
            raise ApiError(422, f"{kind.kind} is invalid: metadata.name: Required value")
        if self._store.find(kind, target.namespace, name):
            raise errors.already_exists(kind.resource, name)
        if sent.get("resourceVersion"):
            raise ApiError(409, "resourceVersion must not be set on objects to be created")
        self._check_namespace(target)
        metadata = {k: v for k, v in sent.items() if k not in _SYSTEM and _is_kept(k, v)}
        metadata["name"] = name
        if kind.namespaced:
            metadata["namespace"] = target.namespace
        body = {**obj, "metadata": metadata}
        if kind.status:
            body.pop("status", None)
        if kind.initial_status is not None:
            body["status"] = dict(kind.initial_status)
        return body

    def _check_namespace(self, target: Target) -> None:
        namespaces = self._store.kinds.get(("", "v1", "namespaces"))
        found = namespaces and self._store.find(namespaces, "", target.namespace)
        if found and "deletionTimestamp" in found.obj["metadata"]:
            raise ApiError(
                403,
                f"unable to create new content in namespace {target.namespace} "
                "because it is being terminated",
                causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}],
            )

    def _check_preconditions(self, target: Target, record: Record, proposed: Obj) -> None:
        sent, live = proposed.get("metadata", {}), record.obj["metadata"]
        for name in ("resourceVersion", "uid"):
            if (sent.get(name) or live[name]) != live[name]:
                raise errors.stale(target.kind.resource, target.name)


def _is_kept(name: str, value: Any) -> bool:
    """Return True if the server keeps this metadata field. It removes empty maps and lists."""
    return bool(value) or name not in _EMPTYABLE


def _applicable(target: Target, config: Obj) -> Obj:
    """Return the part of a configuration that its endpoint may set."""
    if target.subresource == "status":
        return {"status": config["status"]} if "status" in config else {}
    hidden = {"status"} if target.kind.status else set()
    return {k: v for k, v in config.items() if k not in hidden}


def _accepted(target: Target, live: Obj, proposed: Obj) -> Obj:
    """Return the accepted part of a proposed object. Status and all other fields are written separately."""
    kind = target.kind
    if target.subresource == "status":
        rest = {k: v for k, v in live.items() if k != "status"}
        return {**rest, **({"status": proposed["status"]} if proposed.get("status") else {})}
    system = {k: v for k, v in live["metadata"].items() if k in _SYSTEM}
    sent = proposed.get("metadata", {})
    metadata = {k: v for k, v in sent.items() if k not in _SYSTEM and _is_kept(k, v)} | system
    result = {**proposed, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    if kind.status:
        result.pop("status", None)
        if "status" in live:
            result["status"] = live["status"]
    for path in kind.immutable:
        if _at(result, path) != _at(live, path):
            where = ".".join(path)
            raise ApiError(
                422, f'{kind.kind} "{target.name}" is invalid: {where}: field is immutable'
            )
    return result


def _at(obj: Obj, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def scale_of(obj: Obj) -> Obj:
    """Return the autoscaling/v1 Scale of an object."""
    metadata, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status", {})
    labels = spec.get("selector", {}).get("matchLabels", {}) if "selector" in spec else {}
    selector = status.get("selector") or ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: metadata[k] for k in kept if k in metadata},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {"replicas": status.get("replicas", 0), "selector": selector},
    }

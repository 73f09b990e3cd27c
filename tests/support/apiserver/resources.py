"""Responses for all resource requests except watches.

The module maps a request to reads and writes of the store. It uses HTTP codes and must not use sockets.
"""

import itertools
from collections.abc import Callable

from support.apiserver import patches
from support.apiserver.errors import ApiError, expired
from support.apiserver.kinds import Kind, Obj
from support.apiserver.requests import APPLY_TYPES, Request
from support.apiserver.selectors import selector
from support.apiserver.store import Store
from support.apiserver.writes import Target, Writer, scale_of

Answer = tuple[int, Obj]
_MAX_SNAPSHOTS = 200


class Resources:
    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self._snapshots: dict[str, tuple[int, list[Obj]]] = {}
        self._tokens = itertools.count(1)

    def answer(self, request: Request, kind: Kind) -> Answer:
        is_dry = bool(request.query.get("dryRun"))
        if is_dry and request.verb not in ("create", "update", "patch"):
            raise ApiError(400, f"the fake API server does not support dryRun of {request.verb}")
        with self._store.lock, self._store.dry_run(is_dry=is_dry):
            match request.verb:
                case "get":
                    record = self._store.require(kind, request.namespace, request.name)
                    is_scale = request.subresource == "scale"
                    return 200, scale_of(record.obj) if is_scale else record.obj
                case "list":
                    return 200, self._list(request, kind)
                case "create":
                    return 201, self._create(request, kind)
                case "update":
                    return 200, self._update(request, kind)
                case "patch":
                    return self._patch(request, kind)
                case "delete":
                    return 200, self._delete(request, kind, request.name)
                case "deletecollection":
                    return 200, self._delete_all(request, kind)
        raise ApiError(405, "the server does not allow this method on the requested resource")

    def _list(self, request: Request, kind: Kind) -> Obj:
        token = request.query.get("continue", "")
        snapshot = self._resumed(token, kind) if token else self._snapshot(request, kind)
        version, items, start = snapshot
        limit = int(request.query.get("limit") or 0)
        metadata: Obj = {"resourceVersion": str(version)}
        chunk = items[start : start + limit] if limit else items
        left = len(items) - start - len(chunk)
        if limit and left > 0:
            name = token.partition(":")[0] or self._kept(version, items)
            metadata |= {"continue": f"{name}:{start + limit}", "remainingItemCount": left}
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": chunk,
        }

    def _snapshot(self, request: Request, kind: Kind) -> tuple[int, list[Obj], int]:
        selects = selector(request.query)
        records = self._store.records(kind, request.namespace)
        selected = [record.obj for record in records if selects(record.obj)]
        return self._store.version, selected, 0

    def _kept(self, version: int, items: list[Obj]) -> str:
        name = str(next(self._tokens))
        self._snapshots[name] = (version, items)
        if len(self._snapshots) > _MAX_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]
        return name

    def _resumed(self, token: str, kind: Kind) -> tuple[int, list[Obj], int]:
        name, _, start = token.partition(":")
        version, items = self._snapshots.get(name, (0, []))
        oldest = self._store.table(kind).oldest
        if version < oldest or name not in self._snapshots:
            raise expired(version, oldest)
        return version, items, int(start)

    def _create(self, request: Request, kind: Kind) -> Obj:
        if not request.path.endswith(f"/{request.resource}"):
            raise ApiError(405, "the server does not allow this method on the requested resource")
        body = _checked(request, kind)
        if kind.is_review:
            return self._writer.review(_target(request, kind), body)
        return self._writer.create(_target(request, kind), body).obj

    def _update(self, request: Request, kind: Kind) -> Obj:
        body, target = request.body, _target(request, kind)
        if request.subresource == "scale":
            return self._writer.scale(target, lambda scale: dict(body))
        _checked(request, kind)
        if kind.is_custom and not body["metadata"].get("resourceVersion"):
            raise ApiError(
                422,
                f'{kind.resource} "{request.name}" is invalid: metadata.resourceVersion: '
                "Invalid value: 0: must be specified for an update",
            )
        return self._writer.update(target, lambda live: dict(body)).obj

    def _patch(self, request: Request, kind: Kind) -> Answer:
        target = _target(request, kind)
        if request.content_type in APPLY_TYPES and request.subresource != "scale":
            if not request.query.get("fieldManager"):
                raise ApiError(
                    422,
                    "PatchOptions is invalid: fieldManager: Required value: is required for apply",
                )
            force = request.query.get("force") == "true"
            record, is_new = self._writer.apply(target, _checked(request, kind), force=force)
            return (201 if is_new else 200), record.obj
        change = _patch_function(request, kind)
        if request.subresource == "scale":
            return 200, self._writer.scale(target, change)
        return 200, self._writer.update(target, change).obj

    def _delete(self, request: Request, kind: Kind, name: str) -> Obj:
        options = request.body or {}
        policy = request.query.get("propagationPolicy")
        options = {**options, "propagationPolicy": policy} if policy else options
        target = Target(kind=kind, namespace=request.namespace, name=name)
        record = self._writer.delete(target, options)
        if self._store.is_alive(record.obj["metadata"]["uid"]):
            return record.obj
        uid = record.obj["metadata"]["uid"]
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": name, "group": kind.group, "kind": kind.plural, "uid": uid},
        }

    def _delete_all(self, request: Request, kind: Kind) -> Obj:
        listed = self._list(request, kind)
        for item in listed["items"]:
            if self._store.find(
                kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]
            ):
                self._delete(request, kind, item["metadata"]["name"])
        return listed


def _target(request: Request, kind: Kind) -> Target:
    manager = request.query.get("fieldManager") or request.user_agent.partition("/")[0]
    return Target(
        kind=kind,
        namespace=request.namespace,
        name=request.name,
        subresource=request.subresource,
        manager=manager or "unknown",
    )


def _checked(request: Request, kind: Kind) -> Obj:
    """Return the body if it agrees with the path of the request."""
    body = request.body
    if not isinstance(body, dict):
        raise ApiError(400, "the body of the request was not an object")
    if kind.namespaced and not request.namespace:
        raise ApiError(405, "the server does not allow this method on the requested resource")
    metadata = body.setdefault("metadata", {})
    expected = {"apiVersion": kind.api_version, "kind": kind.kind}
    for name, wanted in expected.items():
        if body.setdefault(name, wanted) != wanted:
            raise ApiError(400, f"{name} {body[name]!r} does not match the expected {wanted!r}")
    if request.name and metadata.get("name", request.name) != request.name:
        raise ApiError(
            400,
            f"the name of the object ({metadata['name']}) does not match "
            f"the name on the URL ({request.name})",
        )
    if metadata.get("namespace", request.namespace) != request.namespace:
        raise ApiError(
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        )
    return body


def _patch_function(request: Request, kind: Kind) -> Callable[[Obj], Obj]:
    body = request.body
    match request.content_type:
        case "application/json-patch+json" if isinstance(body, list):
            return lambda live: patches.json_patch(live, body)
        case "application/merge-patch+json" if isinstance(body, dict):
            return lambda live: dict(patches.merge(live, body))
        case "application/strategic-merge-patch+json" if not kind.is_custom:
            return lambda live: dict(patches.keyed_merge(kind, live, body))
    raise ApiError(415, f"the body of the request was in an unknown format: {request.content_type}")

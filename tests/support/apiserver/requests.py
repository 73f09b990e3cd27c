"""Requests as the fake API server parses them, the record of all requests, and filters.

The module reads paths and queries, and must not answer or change anything.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import unquote

import orjson
import yaml

from support.apiserver.errors import ApiError
from support.apiserver.kinds import Kind

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
APPLY_TYPES = ("application/apply-patch+yaml", "application/apply-patch+cbor")


class Where(TypedDict, total=False):
    """Filter for requests. A missing key matches all requests.

    verb: a Kubernetes verb, "apply" (only server-side apply) or "write" (all writes).
    resource: plural, or plural/subresource. The plural alone does not match its subresources.
    path: a prefix of the path. user_agent: a part of the header. client: the listener that received the request.
    other_than: a resource that does not match.
    """

    verb: str
    resource: str
    namespace: str
    name: str
    user_agent: str
    path: str
    client: str
    other_than: str


@dataclass(slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    user_agent: str = ""
    client: str = ""
    content_type: str = ""
    raw: bytes = b""
    status: int = 0
    changed: bool = True
    """False if a write left the object as it was."""
    reply_lost: bool = False
    is_recorded: bool = False
    kind: Kind | None = field(default=None, repr=False)

    @property
    def body(self) -> Any:
        """Return the decoded body. The body of an apply may be YAML."""
        if not self.raw:
            return None
        try:
            return orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            return yaml.safe_load(self.raw)

    @property
    def is_apply(self) -> bool:
        return self.content_type in APPLY_TYPES

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def matches(self, where: Where) -> bool:
        verb = where.get("verb", self.verb)
        is_verb = (
            verb == self.verb
            or (verb == "write" and self.is_write)
            or (verb == "apply" and self.is_apply)
        )
        return (
            is_verb
            and where.get("resource", self.full_resource) == self.full_resource
            and where.get("namespace", self.namespace) == self.namespace
            and where.get("name", self.name) == self.name
            and where.get("user_agent", "") in self.user_agent
            and where.get("client", self.client) == self.client
            and where.get("other_than") != self.resource
            and self.path.startswith(where.get("path", ""))
        )


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_TRUE = ("true", "1")


def locate(request: Request, kinds: Mapping[tuple[str, str, str], Kind]) -> None:
    """Set the fields that the path gives. The kind stays None for discovery and health paths."""
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    match parts:
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            return
    namespace = ""
    is_inside = len(rest) > 2 and rest[0] == "namespaces"
    if is_inside and (group, version, rest[2]) in kinds:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.get((group, version, rest[0]))
    request.group, request.resource, request.namespace = group, rest[0], namespace
    request.name = rest[1] if len(rest) > 1 else ""
    request.subresource = "/".join(rest[2:])
    request.verb = _verb(request)
    if request.verb == "create" and not request.name:
        # As in an audit log, the name of a created object is that of its body.
        request.name = _name_in(request.body)
    if kind is None or (request.subresource and request.subresource not in kind.subresources):
        raise ApiError(404, "the server could not find the requested resource")
    request.kind = kind


def _name_in(body: Any) -> str:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _verb(request: Request) -> str:
    if request.method == "GET":
        if request.query.get("watch") in _TRUE:
            return "watch"
        return "get" if request.name else "list"
    verb = _VERBS.get(request.method, "")
    return "deletecollection" if verb == "delete" and not request.name else verb


class Recorder:
    """Record of all requests in the sequence of their effects, each once. Watches are recorded when they start."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        with self._changed:
            if request.is_recorded:
                return
            request.is_recorded = True
            self._requests.append(request)
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._requests.clear()

    def requests(self, where: Where) -> list[Request]:
        with self._changed:
            return [request for request in self._requests if request.matches(where)]

    def counts(self) -> Counter[tuple[str, str]]:
        """Requests per (verb, resource or resource/subresource)."""
        with self._changed:
            return Counter((request.verb, request.full_resource) for request in self._requests)

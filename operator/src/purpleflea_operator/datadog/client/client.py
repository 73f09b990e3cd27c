"""One organisation: look at all, read, make, change and remove one object of any kind.

Each call but `look` is one request. A create is never repeated here: after no answer, looking is the caller's business.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from purpleflea_operator.datadog.client import errors, listing, models
from purpleflea_operator.datadog.client.deployment_events import (
    DeploymentEvents,
    HttpDeploymentEvents,
)
from purpleflea_operator.datadog.client.models import Inventory, ListFilter, RemoteObject
from purpleflea_operator.datadog.client.transport import Transport
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind

SCANNER = "/api/v2/sensitive-data-scanner/config"
COLLECTIONS = {
    ObjectKind.MONITOR: "/api/v1/monitor",
    ObjectKind.SLO: "/api/v1/slo",
    ObjectKind.DASHBOARD: "/api/v1/dashboard",
    ObjectKind.LOG_PIPELINE: "/api/v1/logs/config/pipelines",
    ObjectKind.LOG_INDEX: "/api/v1/logs/config/indexes",
    ObjectKind.SCANNER_GROUP: f"{SCANNER}/groups",
    ObjectKind.SCANNER_RULE: f"{SCANNER}/rules",
    ObjectKind.NOTEBOOK: "/api/v1/notebooks",
}
PATCHED = frozenset({ObjectKind.METRIC_TAGS, ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE})
READABLE = frozenset(
    {ObjectKind.MONITOR, ObjectKind.SLO, ObjectKind.DASHBOARD, ObjectKind.NOTEBOOK}
)
"""Kinds whose list may not show an object that exists, or not all of it."""


class DatadogClient(Protocol):
    """A Datadog organisation. Every call may raise `errors.DatadogError`."""

    @property
    def announcements(self) -> DeploymentEvents:
        """Where deployments are told of."""

    async def validate(self) -> None:
        """Check both keys. Raises Forbidden where Datadog refuses them."""

    async def look(self, scope: ListFilter, kinds: Iterable[ObjectKind]) -> Inventory:
        """What it holds of the kinds."""

    async def read(self, kind: ObjectKind, identifier: str) -> RemoteObject | None:
        """One object; None where it is gone."""

    async def create(self, kind: ObjectKind, body: Body) -> RemoteObject:
        """Make an object."""

    async def update(self, kind: ObjectKind, identifier: str, body: Body) -> RemoteObject:
        """Change an object. Raises NotFound where it is gone."""

    async def delete(self, kind: ObjectKind, identifier: str) -> None:
        """Remove an object; one that is gone already is fine."""


class HttpDatadogClient:
    """An organisation behind HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.announcements: DeploymentEvents = HttpDeploymentEvents(transport)

    async def validate(self) -> None:
        """Check both keys."""
        await self._transport.request("GET", "/api/v2/validate_keys")

    async def look(self, scope: ListFilter, kinds: Iterable[ObjectKind]) -> Inventory:
        """What it holds of the kinds."""
        return await listing.survey(self._transport, scope, kinds)

    async def read(self, kind: ObjectKind, identifier: str) -> RemoteObject | None:
        """One object; None where it is gone, or where its list would show it."""
        if kind not in READABLE:
            return None
        try:
            answer = await self._transport.request("GET", _path(kind, identifier))
        except errors.NotFound:
            return None
        return _found(kind, identifier, answer)

    async def create(self, kind: ObjectKind, body: Body) -> RemoteObject:
        """Make an object."""
        path = (
            _path(kind, _name(kind, body)) if kind is ObjectKind.METRIC_TAGS else COLLECTIONS[kind]
        )
        answer = await self._transport.request("POST", path, body=body)
        return _found(kind, _name(kind, body), answer)

    async def update(self, kind: ObjectKind, identifier: str, body: Body) -> RemoteObject:
        """Change an object."""
        method = "PATCH" if kind in PATCHED else "PUT"
        changed = models.update(kind, identifier, body)
        answer = await self._transport.request(method, _path(kind, identifier), body=changed)
        return _found(kind, identifier, answer)

    async def delete(self, kind: ObjectKind, identifier: str) -> None:
        """Remove an object."""
        body: Body | None = (
            {"meta": {}} if kind in (ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE) else None
        )
        try:
            await self._transport.request("DELETE", _path(kind, identifier), body=body)
        except errors.NotFound:
            return


def _path(kind: ObjectKind, identifier: str) -> str:
    if kind is ObjectKind.METRIC_TAGS:
        return f"/api/v2/metrics/{identifier}/tags"
    if kind is ObjectKind.LOG_INDEX_ORDER:
        return "/api/v1/logs/config/index-order"
    return f"{COLLECTIONS[kind]}/{identifier}"


def _name(kind: ObjectKind, body: Body) -> str:
    """The id of kinds that users name."""
    if kind is ObjectKind.METRIC_TAGS:
        return str(body["data"]["id"])
    return str(body["name"]) if kind is ObjectKind.LOG_INDEX else ""


def _found(kind: ObjectKind, identifier: str, answer: Any) -> RemoteObject:
    """The object of an answer; SLOs come as a list of one where they are made and changed."""
    match kind:
        case ObjectKind.MONITOR:
            return listing.monitor(answer)
        case ObjectKind.SLO:
            data = answer["data"]
            return listing.plain(kind, data[0] if isinstance(data, list) else data)
        case ObjectKind.DASHBOARD:
            return listing.dashboard(answer, body=answer)
        case ObjectKind.LOG_PIPELINE:
            return listing.plain(kind, answer)
        case ObjectKind.LOG_INDEX:
            return listing.index({"name": identifier, **(answer or {})})
        case ObjectKind.SCANNER_GROUP | ObjectKind.SCANNER_RULE:
            data = (answer or {}).get("data") or {}
            return RemoteObject(kind=kind, id=str(data.get("id", identifier)), body=None)
        case ObjectKind.NOTEBOOK:
            return listing.wrapped(kind, answer["data"])
        case _:
            return RemoteObject(kind=kind, id=identifier, body=None)

"""Client for one organization: list all objects, and read, create, update and delete one object of any kind.

Each call except `list_objects` is one request. A create is never retried here. If it has no answer, the caller lists
the objects before the next attempt.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from purpleflea_operator.datadog.client import errors, listing, models
from purpleflea_operator.datadog.client.deployment_events import (
    DeploymentEvents,
    HttpDeploymentEvents,
)
from purpleflea_operator.datadog.client.downtimes import Downtimes, HttpDowntimes
from purpleflea_operator.datadog.client.models import (
    READABLE_KINDS,
    Inventory,
    ListFilter,
    RemoteObject,
)
from purpleflea_operator.datadog.client.transport import Transport, readable
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
PATCHED_KINDS = frozenset(
    {ObjectKind.METRIC_TAGS, ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE}
)


class DatadogClient(Protocol):
    """Client for a Datadog organization. Every call may raise `errors.DatadogError`."""

    @property
    def deployment_events(self) -> DeploymentEvents:
        """Endpoints for deployments."""

    @property
    def downtimes(self) -> Downtimes:
        """Endpoints for downtimes."""

    async def validate(self) -> None:
        """Check both keys. Raises Forbidden if Datadog rejects them."""

    async def list_objects(self, list_filter: ListFilter, kinds: Iterable[ObjectKind]) -> Inventory:
        """List the objects of the kinds."""

    async def read(self, kind: ObjectKind, identifier: str) -> RemoteObject | None:
        """Return an object, None if it does not exist."""

    async def create(self, kind: ObjectKind, body: Body) -> RemoteObject:
        """Create an object."""

    async def update(self, kind: ObjectKind, identifier: str, body: Body) -> RemoteObject:
        """Update an object. Raises NotFound if it does not exist."""

    async def delete(self, kind: ObjectKind, identifier: str) -> None:
        """Delete an object. It is not an error if the object does not exist."""


class HttpDatadogClient:
    """DatadogClient over HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.deployment_events: DeploymentEvents = HttpDeploymentEvents(transport)
        self.downtimes: Downtimes = HttpDowntimes(transport)

    async def validate(self) -> None:
        """Check both keys."""
        await self._transport.request("GET", "/api/v2/validate_keys")

    async def list_objects(self, list_filter: ListFilter, kinds: Iterable[ObjectKind]) -> Inventory:
        """List the objects of the kinds."""
        return await listing.list_objects(self._transport, list_filter, kinds)

    async def read(self, kind: ObjectKind, identifier: str) -> RemoteObject | None:
        """Return an object, None if it does not exist or its kind is always fully listed."""
        if kind not in READABLE_KINDS:
            return None
        try:
            answer = await self._transport.request("GET", _path(kind, identifier))
        except errors.DatadogNotFound:
            return None
        with readable():
            return _remote_object(kind, identifier, answer)

    async def create(self, kind: ObjectKind, body: Body) -> RemoteObject:
        """Create an object."""
        path = (
            _path(kind, _name(kind, body)) if kind is ObjectKind.METRIC_TAGS else COLLECTIONS[kind]
        )
        answer = await self._transport.request("POST", path, body=body)
        with readable():
            return _remote_object(kind, _name(kind, body), answer)

    async def update(self, kind: ObjectKind, identifier: str, body: Body) -> RemoteObject:
        """Update an object."""
        method = "PATCH" if kind in PATCHED_KINDS else "PUT"
        update = models.update_body(kind, identifier, body)
        answer = await self._transport.request(method, _path(kind, identifier), body=update)
        with readable():
            return _remote_object(kind, identifier, answer)

    async def delete(self, kind: ObjectKind, identifier: str) -> None:
        """Delete an object."""
        body: Body | None = (
            {"meta": {}} if kind in (ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE) else None
        )
        try:
            await self._transport.request("DELETE", _path(kind, identifier), body=body)
        except errors.DatadogNotFound:
            return


def _path(kind: ObjectKind, identifier: str) -> str:
    if kind is ObjectKind.METRIC_TAGS:
        return f"/api/v2/metrics/{identifier}/tags"
    if kind is ObjectKind.LOG_INDEX_ORDER:
        return "/api/v1/logs/config/index-order"
    return f"{COLLECTIONS[kind]}/{identifier}"


def _name(kind: ObjectKind, body: Body) -> str:
    """Return the id of an object, if its kind uses a name as id."""
    if kind is ObjectKind.METRIC_TAGS:
        return str(body["data"]["id"])
    return str(body["name"]) if kind is ObjectKind.LOG_INDEX else ""


def _remote_object(kind: ObjectKind, identifier: str, answer: Any) -> RemoteObject:
    """Return the object of a response. Creates and updates of SLOs return a list with one SLO."""
    match kind:
        case ObjectKind.SLO:
            data = answer["data"]
            return listing.plain(kind, data[0] if isinstance(data, list) else data)
        case ObjectKind.DASHBOARD:
            return listing.dashboard(answer, body=answer)
        case ObjectKind.MONITOR | ObjectKind.LOG_PIPELINE:
            return listing.plain(kind, answer)
        case ObjectKind.LOG_INDEX:
            return listing.index({"name": identifier, **(answer or {})})
        case ObjectKind.SCANNER_GROUP | ObjectKind.SCANNER_RULE:
            data = (answer or {}).get("data") or {}
            return RemoteObject(kind=kind, id=str(data.get("id", identifier)), body=None)
        case ObjectKind.NOTEBOOK | ObjectKind.METRIC_TAGS:
            return listing.wrapped(kind, answer["data"])
        case _:
            return RemoteObject(kind=kind, id=identifier, body=None)

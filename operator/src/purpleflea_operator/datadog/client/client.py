"""One organisation: look at all, read, make, change and remove one object of any kind.

Each call but `look` is one request. A create is never repeated here: after no answer, looking is the caller's business.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from purpleflea_operator.datadog.client import errors, listing, models
from purpleflea_operator.datadog.client.deployment_events import Announcements, HttpAnnouncements
from purpleflea_operator.datadog.client.models import Found, Scope, Survey
from purpleflea_operator.datadog.client.transport import Transport
from purpleflea_operator.datadog.definitions.objects import Body, Kind

SCANNER = "/api/v2/sensitive-data-scanner/config"
COLLECTIONS = {
    Kind.MONITOR: "/api/v1/monitor",
    Kind.SLO: "/api/v1/slo",
    Kind.DASHBOARD: "/api/v1/dashboard",
    Kind.LOG_PIPELINE: "/api/v1/logs/config/pipelines",
    Kind.LOG_INDEX: "/api/v1/logs/config/indexes",
    Kind.SCANNER_GROUP: f"{SCANNER}/groups",
    Kind.SCANNER_RULE: f"{SCANNER}/rules",
    Kind.NOTEBOOK: "/api/v1/notebooks",
}
PATCHED = frozenset({Kind.METRIC_TAGS, Kind.SCANNER_GROUP, Kind.SCANNER_RULE})
READABLE = frozenset({Kind.MONITOR, Kind.SLO, Kind.DASHBOARD, Kind.NOTEBOOK})
"""Kinds whose list may not show an object that exists, or not all of it."""


class Organisation(Protocol):
    """A Datadog organisation. Every call may raise `errors.DatadogError`."""

    @property
    def announcements(self) -> Announcements:
        """Where deployments are told of."""

    async def validate(self) -> None:
        """Check both keys. Raises Forbidden where Datadog refuses them."""

    async def look(self, scope: Scope, kinds: Iterable[Kind]) -> Survey:
        """What it holds of the kinds."""

    async def read(self, kind: Kind, identifier: str) -> Found | None:
        """One object; None where it is gone."""

    async def create(self, kind: Kind, body: Body) -> Found:
        """Make an object."""

    async def update(self, kind: Kind, identifier: str, body: Body) -> Found:
        """Change an object. Raises NotFound where it is gone."""

    async def delete(self, kind: Kind, identifier: str) -> None:
        """Remove an object; one that is gone already is fine."""


class HttpOrganisation:
    """An organisation behind HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.announcements: Announcements = HttpAnnouncements(transport)

    async def validate(self) -> None:
        """Check both keys."""
        await self._transport.request("GET", "/api/v2/validate_keys")

    async def look(self, scope: Scope, kinds: Iterable[Kind]) -> Survey:
        """What it holds of the kinds."""
        return await listing.survey(self._transport, scope, kinds)

    async def read(self, kind: Kind, identifier: str) -> Found | None:
        """One object; None where it is gone, or where its list would show it."""
        if kind not in READABLE:
            return None
        try:
            answer = await self._transport.request("GET", _path(kind, identifier))
        except errors.NotFound:
            return None
        return _found(kind, identifier, answer)

    async def create(self, kind: Kind, body: Body) -> Found:
        """Make an object."""
        path = _path(kind, _name(kind, body)) if kind is Kind.METRIC_TAGS else COLLECTIONS[kind]
        answer = await self._transport.request("POST", path, body=body)
        return _found(kind, _name(kind, body), answer)

    async def update(self, kind: Kind, identifier: str, body: Body) -> Found:
        """Change an object."""
        method = "PATCH" if kind in PATCHED else "PUT"
        changed = models.update(kind, identifier, body)
        answer = await self._transport.request(method, _path(kind, identifier), body=changed)
        return _found(kind, identifier, answer)

    async def delete(self, kind: Kind, identifier: str) -> None:
        """Remove an object."""
        body: Body | None = (
            {"meta": {}} if kind in (Kind.SCANNER_GROUP, Kind.SCANNER_RULE) else None
        )
        try:
            await self._transport.request("DELETE", _path(kind, identifier), body=body)
        except errors.NotFound:
            return


def _path(kind: Kind, identifier: str) -> str:
    if kind is Kind.METRIC_TAGS:
        return f"/api/v2/metrics/{identifier}/tags"
    if kind is Kind.LOG_INDEX_ORDER:
        return "/api/v1/logs/config/index-order"
    return f"{COLLECTIONS[kind]}/{identifier}"


def _name(kind: Kind, body: Body) -> str:
    """The id of kinds that users name."""
    if kind is Kind.METRIC_TAGS:
        return str(body["data"]["id"])
    return str(body["name"]) if kind is Kind.LOG_INDEX else ""


def _found(kind: Kind, identifier: str, answer: Any) -> Found:
    """The object of an answer; SLOs come as a list of one where they are made and changed."""
    match kind:
        case Kind.MONITOR:
            return listing.monitor(answer)
        case Kind.SLO:
            data = answer["data"]
            return listing.plain(kind, data[0] if isinstance(data, list) else data)
        case Kind.DASHBOARD:
            return listing.dashboard(answer, body=answer)
        case Kind.LOG_PIPELINE:
            return listing.plain(kind, answer)
        case Kind.LOG_INDEX:
            return listing.index({"name": identifier, **(answer or {})})
        case Kind.SCANNER_GROUP | Kind.SCANNER_RULE:
            data = (answer or {}).get("data") or {}
            return Found(kind=kind, id=str(data.get("id", identifier)), body=None)
        case Kind.NOTEBOOK:
            return listing.wrapped(kind, answer["data"])
        case _:
            return Found(kind=kind, id=identifier, body=None)

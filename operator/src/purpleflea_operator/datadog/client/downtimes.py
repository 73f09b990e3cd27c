"""Downtimes in Datadog. The operator sets them for agents that it stops. Managed objects are in `client`."""

from typing import Any, Protocol

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.transport import Transport
from purpleflea_operator.datadog.definitions.objects import Body

PATH = "/api/v2/downtime"
PAGE_SIZE = 100


class Downtimes(Protocol):
    """Endpoints for downtimes. Every call may raise `errors.DatadogError`."""

    async def list(self) -> list[dict[str, Any]]:
        """Return all current downtimes of the organization."""

    async def create(self, body: Body) -> None:
        """Create a downtime. If the request is repeated, Datadog has two."""

    async def set_scope(self, identifier: str, scope: str) -> None:
        """Replace the scope of a downtime."""

    async def cancel(self, identifier: str) -> None:
        """End a downtime. It is not an error if it does not exist."""


class HttpDowntimes:
    """Downtimes over HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> list[dict[str, Any]]:
        """Return all current downtimes of the organization."""
        items: list[dict[str, Any]] = []
        page: list[dict[str, Any]] | None = None
        while page is None or len(page) == PAGE_SIZE:
            query = {
                "current_only": "true",
                "page[limit]": str(PAGE_SIZE),
                "page[offset]": str(len(items)),
            }
            page = (await self._transport.request("GET", PATH, query=query) or {}).get("data") or []
            items.extend(page)
        return items

    async def create(self, body: Body) -> None:
        """Create a downtime. If the request is repeated, Datadog has two."""
        await self._transport.request("POST", PATH, body=body)

    async def set_scope(self, identifier: str, scope: str) -> None:
        """Replace the scope of a downtime."""
        data = {"type": "downtime", "id": identifier, "attributes": {"scope": scope}}
        await self._transport.request("PATCH", f"{PATH}/{identifier}", body={"data": data})

    async def cancel(self, identifier: str) -> None:
        """End a downtime. It is not an error if it does not exist."""
        try:
            await self._transport.request("DELETE", f"{PATH}/{identifier}")
        except errors.DatadogNotFound:
            return

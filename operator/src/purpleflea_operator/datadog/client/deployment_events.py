"""Deployments in Datadog: DORA deployments and events. Managed objects are in `client`."""

from typing import Protocol

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.transport import Transport, readable
from purpleflea_operator.datadog.definitions.objects import Body

DAY_S = 86_400


class DeploymentEvents(Protocol):
    """Endpoints for deployments. Every call may raise `errors.DatadogError`."""

    async def send_deployment(self, body: Body) -> None:
        """Send a DORA deployment. Two deployments with the same id are one deployment."""

    async def has_event(self, tag: str, *, now_s: int) -> bool:
        """Return True if an event of the last day has this tag."""

    async def send_event(self, body: Body) -> None:
        """Post an event. If it is posted twice, Datadog has it twice."""


class HttpDeploymentEvents:
    """DeploymentEvents over HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send_deployment(self, body: Body) -> None:
        """Send a DORA deployment. Two deployments with the same id are one deployment."""
        await self._transport.request("POST", "/api/v2/dora/deployment", body=body)

    async def has_event(self, tag: str, *, now_s: int) -> bool:
        """Return True if an event of the last day has this tag, False if the keys may not read events."""
        query = {"start": str(now_s - DAY_S), "end": str(now_s + DAY_S), "tags": tag}
        try:
            answer = await self._transport.request("GET", "/api/v1/events", query=query)
        except errors.DatadogForbidden:
            return False
        with readable():
            return bool(answer["events"])

    async def send_event(self, body: Body) -> None:
        """Post an event. If it is posted twice, Datadog has it twice."""
        await self._transport.request("POST", "/api/v1/events", body=body)

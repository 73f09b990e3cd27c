"""What Datadog is told of deployments: DORA deployments and events. Kept objects are not its business."""

from typing import Protocol

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.transport import Transport
from purpleflea_operator.datadog.definitions.objects import Body

DAY_S = 86_400


class DeploymentEvents(Protocol):
    """Takes announcements. Every call may raise `errors.DatadogError`."""

    async def deployment(self, body: Body) -> None:
        """Announce a deployment; one with the same id is the same one."""

    async def has_event(self, tag: str, *, now_s: int) -> bool:
        """Whether there is an event of the last day with that tag."""

    async def event(self, body: Body) -> None:
        """Post an event; one that is posted twice is there twice."""


class HttpDeploymentEvents:
    """DeploymentEvents over HTTP."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def deployment(self, body: Body) -> None:
        """Announce a deployment; one with the same id is the same one."""
        await self._transport.request("POST", "/api/v2/dora/deployment", body=body)

    async def has_event(self, tag: str, *, now_s: int) -> bool:
        """Whether there is an event of the last day with that tag; False where we may not look."""
        query = {"start": str(now_s - DAY_S), "end": str(now_s + DAY_S), "tags": tag}
        try:
            answer = await self._transport.request("GET", "/api/v1/events", query=query)
        except errors.Forbidden:
            return False
        return bool(answer["events"])

    async def event(self, body: Body) -> None:
        """Post an event; one that is posted twice is there twice."""
        await self._transport.request("POST", "/api/v1/events", body=body)

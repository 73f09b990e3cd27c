"""HTTP client for the agents' endpoints: one bounded GET per call, without redirects, cookies or proxies.

Agents are not trusted: a response may be slow, too long or invalid. The module must not decide anything or retry.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from purpleflea_contract import environment as env
from purpleflea_contract import routes
from purpleflea_contract.control import Acknowledgement
from purpleflea_contract.status_report import MAX_REASON, ReadinessReport, StatusReport
from purpleflea_operator import bounded_body, timings
from purpleflea_operator.agent_client.protocol import (
    AgentClient,
    AgentUnreachableError,
    EndpointNotSupportedError,
    ReadyError,
)

TIMEOUT = aiohttp.ClientTimeout(total=timings.AGENT_REQUEST_TIMEOUT_S)


BODY_LIMIT = 64 * 1024
PROBE_CONNECTIONS = 64
ACKNOWLEDGEMENT_CONNECTIONS = 256
"""Larger than the pool of the telemetry probes, because 200 silent agents must not delay the proof of a halt."""

Body = TypeVar("Body", bound=BaseModel)


def session(connections: int = PROBE_CONNECTIONS) -> aiohttp.ClientSession:
    """Return a session for requests to agents. Connections are not kept, because requests to one agent are rare."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "purpleflea-operator"},
    )


class HttpAgentClient:
    """Agents at the IP addresses of their pods, with at most `connections` concurrent requests.

    The timeout of aiohttp includes the wait for a connection of the pool. Therefore a request starts only when a
    connection is free, so that silent agents do not cause timeouts of the requests behind them.
    """

    def __init__(
        self,
        http_session: aiohttp.ClientSession,
        *,
        port: int = env.HTTP_PORT,
        connections: int = PROBE_CONNECTIONS,
    ) -> None:
        self._session = http_session
        self._port = port
        self._free = asyncio.Semaphore(connections)

    async def control(self, address: str) -> Acknowledgement:
        """Return the acknowledgement of the trading mode by the agent at this IP address."""
        return await self._get(address, routes.CONTROL.path, Acknowledgement)

    async def status(self, address: str) -> StatusReport:
        """Return the status of an agent. An agent without the endpoint reports nothing."""
        try:
            return await self._get(address, routes.STATUS.path, StatusReport)
        except EndpointNotSupportedError:
            return StatusReport(telemetry_dropped_by_signal={})

    async def not_ready_reason(self, address: str) -> str | None:
        """Return why the agent is not ready, in one line; None if it is ready, empty if it gives no reason."""
        try:
            report = await self._get(address, routes.READY.path, ReadinessReport, expected=503)
        except ReadyError:
            return None
        line = " ".join(report.detail.split())
        return "".join(char for char in line if char.isprintable())[:MAX_REASON]

    async def _get(
        self, address: str, path: str, model: type[Body], *, expected: int = 200
    ) -> Body:
        try:
            url = URL.build(scheme="http", host=address, port=self._port, path=path)
        except ValueError as error:
            raise AgentUnreachableError("the address of the pod is not an IP address") from error
        try:
            async with (
                self._free,
                self._session.get(url, timeout=TIMEOUT, allow_redirects=False) as response,
            ):
                body = await bounded_body.read(response, BODY_LIMIT)
                if response.status == 404:
                    raise EndpointNotSupportedError(f"the agent has no endpoint {path}")
                if response.status == 200 != expected:
                    raise ReadyError("the agent is ready")
                if response.status != expected:
                    raise AgentUnreachableError(
                        f"the agent responded with status {response.status}"
                    )
        except bounded_body.TooLargeError as error:
            raise AgentUnreachableError(str(error)) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AgentUnreachableError(f"no response: {type(error).__name__}") from error
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise AgentUnreachableError("the response is invalid") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentClients:
    """Clients with separate connections, so that telemetry probes cannot delay the proof of a halt."""

    probes: AgentClient
    acknowledgements: AgentClient


async def clients(
    stack: contextlib.AsyncExitStack, client: AgentClient | None = None
) -> AgentClients:
    """Return the clients, which `stack` closes; `client` replaces both."""

    async def created(connections: int) -> AgentClient:
        return HttpAgentClient(
            await stack.enter_async_context(session(connections)), connections=connections
        )

    return AgentClients(
        probes=client or await created(PROBE_CONNECTIONS),
        acknowledgements=client or await created(ACKNOWLEDGEMENT_CONNECTIONS),
    )

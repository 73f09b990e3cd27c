"""The adapter to the agents' HTTP endpoints: one bounded GET per question, no redirect, no cookie, no proxy.

An agent is not trusted: it may answer slowly, at length, or nonsense. It decides nothing and repeats nothing.
"""

from collections.abc import Mapping
from typing import TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from purpleflea_contract import environment as env
from purpleflea_contract import routes
from purpleflea_contract.control import Acknowledgement
from purpleflea_contract.losses import Losses
from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import (
    AgentUnreachableError,
    EndpointNotSupportedError,
)

TIMEOUT = aiohttp.ClientTimeout(total=timings.AGENT_REQUEST_TIMEOUT_S)


BODY_LIMIT = 64 * 1024
CONNECTIONS = 64

Answer = TypeVar("Answer", bound=BaseModel)


def session() -> aiohttp.ClientSession:
    """A session for questions to agents; it keeps no connection, agents are asked seldom."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "purpleflea-operator"},
    )


class HttpAgentClient:
    """The agents behind their pods' addresses."""

    def __init__(self, asking: aiohttp.ClientSession, *, port: int = env.HTTP_PORT) -> None:
        self._session = asking
        self._port = port

    async def control(self, address: str) -> Acknowledgement:
        """What the agent at this IP address does about its trading mode."""
        return await self._ask(address, routes.CONTROL.path, Acknowledgement)

    async def losses(self, address: str) -> Mapping[str, int]:
        """Telemetry that the agent at this IP address lost, by signal; none where it does not count."""
        try:
            answer = await self._ask(address, routes.STATUS.path, Losses)
        except EndpointNotSupportedError:
            return {}
        return answer.telemetry_dropped_by_signal

    async def _ask(self, address: str, path: str, form: type[Answer]) -> Answer:
        try:
            url = URL.build(scheme="http", host=address, port=self._port, path=path)
        except ValueError as error:
            raise AgentUnreachableError("its address is not an IP address") from error
        try:
            async with self._session.get(url, timeout=TIMEOUT, allow_redirects=False) as response:
                body = await _bounded(response)
                if response.status == 404:
                    raise EndpointNotSupportedError("it does not offer that")
                if response.status != 200:
                    raise AgentUnreachableError(f"it answers {response.status}")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AgentUnreachableError(f"no answer: {type(error).__name__}") from error
        try:
            return form.model_validate_json(body)
        except ValidationError as error:
            raise AgentUnreachableError("its answer is not understood") from error


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_chunked(BODY_LIMIT):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise AgentUnreachableError(f"its answer is longer than {BODY_LIMIT} bytes")
    return body

"""Maintenance of the ddapm-test-agent in the same pod: recover payloads it received early, and bound its memory.

The test agent forwards every payload, but also keeps it for tests. So at startup the payloads that it received before
this server listened are fetched once (the intake ignores spans that it already has), and afterwards its memory is
cleared periodically.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from purpleflea_sandbox.datadog.node_agent.traces import TraceSink

logger = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_RETRY_S = 1.0
_CLEAR_EVERY_S = 15.0


class TraceAgentMaintenance:
    """Task that calls the test agent's own HTTP interface."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        sink: TraceSink,
        clear_every_s: float = _CLEAR_EVERY_S,
    ) -> None:
        self._session = session
        self._url = url
        self._sink = sink
        self._clear_every_s = clear_every_s
        self.recovered: int | None = None

    async def run(self) -> None:
        """Recover once, then clear until canceled. If the test agent is unreachable, retry."""
        while self.recovered is None:
            try:
                self.recovered = await self._recover()
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(_RETRY_S)
        while True:
            try:
                await self._clear()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.warning("the trace agent at %s does not respond: %s", self._url, error)
            await asyncio.sleep(self._clear_every_s)

    async def _recover(self) -> int:
        async with self._session.get(
            f"{self._url}/test/session/requests", timeout=_TIMEOUT
        ) as response:
            response.raise_for_status()
            requests: list[Mapping[str, Any]] = await response.json()
        payloads = [request for request in requests if _path(request).endswith("/traces")]
        for request in payloads:
            self._sink.take(_path(request), request["headers"], base64.b64decode(request["body"]))
        return len(payloads)

    async def _clear(self) -> None:
        async with self._session.get(
            f"{self._url}/test/session/clear", timeout=_TIMEOUT
        ) as response:
            response.raise_for_status()


def _path(request: Mapping[str, Any]) -> str:
    return urlsplit(str(request["url"])).path

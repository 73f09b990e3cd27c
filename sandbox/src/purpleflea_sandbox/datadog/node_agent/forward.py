"""Send data to the intake: one bounded buffer, backoff with jitter, and counted drops per kind of payload.

Producers never wait. Logs do not use this buffer, because they stay in their files until they are delivered (see
logs).
"""

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from purpleflea_sandbox.datadog.node_agent.counters import Counters

logger = logging.getLogger(__name__)

_MAX_BYTES = 32 * 1024 * 1024
_FIRST_DELAY_S = 0.5
_MAX_DELAY_S = 15.0
_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
_RETRIED_STATUSES = frozenset({401, 403, 408, 425, 429})
"""Statuses to retry. 403 is included, because a wrong key is fixed without a restart of the fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A request body, and the kind it is counted as."""

    route: str
    body: bytes
    kind: str


def payload(route: str, document: Any, kind: str) -> Payload:
    return Payload(
        route=route, body=json.dumps(document, separators=(",", ":")).encode(), kind=kind
    )


class Intake:
    """Address and key of the intake. Raises RefusedError if the intake rejects a payload permanently, otherwise
    retries forever.
    """

    def __init__(self, session: aiohttp.ClientSession, *, url: str, api_key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"DD-API-KEY": api_key, "Content-Type": "application/json"}
        self.last_error = ""

    async def deliver(self, item: Payload) -> None:
        """Return after the intake has accepted the payload."""
        delay = _FIRST_DELAY_S
        while not await self._accepted(item):
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(_MAX_DELAY_S, delay * 2)

    async def _accepted(self, item: Payload) -> bool:
        try:
            async with self._session.post(
                self._url + item.route, data=item.body, headers=self._headers, timeout=_TIMEOUT
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._record_error(f"{type(error).__name__}: {error}")
            return False
        if status < 300:
            self.last_error = ""
            return True
        self._record_error(f"status {status} for {item.route}")
        if 400 <= status < 500 and status not in _RETRIED_STATUSES:
            raise PayloadRejectedError(self.last_error)
        return False

    def _record_error(self, error: str) -> None:
        if error != self.last_error:
            logger.warning("the intake at %s does not accept data: %s", self._url, error)
        self.last_error = error


class PayloadRejectedError(Exception):
    """The intake rejects this payload permanently."""


class Forwarder:
    """Buffer with one sending task. If the buffer is full, the oldest payloads are dropped."""

    def __init__(self, intake: Intake, counters: Counters, *, max_bytes: int = _MAX_BYTES) -> None:
        self._intake = intake
        self._counters = counters
        self._max_bytes = max_bytes
        self._waiting: deque[Payload] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def send(self, item: Payload) -> None:
        """Queue the payload."""
        self._waiting.append(item)
        self._bytes += len(item.body)
        while self._bytes > self._max_bytes and len(self._waiting) > 1:
            dropped = self._waiting.popleft()
            self._bytes -= len(dropped.body)
            self._counters.add(f"forwarder.dropped.{dropped.kind}")
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            while self._waiting:
                item = self._waiting.popleft()
                self._bytes -= len(item.body)
                await self._deliver(item)
            self._wake.clear()
            self._idle.set()

    async def drained(self) -> None:
        """Wait until the buffer is empty."""
        await self._idle.wait()

    def state(self) -> Mapping[str, Any]:
        return {
            "waiting": len(self._waiting),
            "waiting_bytes": self._bytes,
            "last_error": self._intake.last_error,
        }

    async def _deliver(self, item: Payload) -> None:
        try:
            await self._intake.deliver(item)
        except PayloadRejectedError as error:
            self._counters.add(f"forwarder.refused.{item.kind}")
            logger.error("payload rejected: %s", error)
        else:
            self._counters.add(f"forwarder.sent.{item.kind}")

"""A running API, and a function that sends a request and returns status and body."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from support.datadog_api import KEYS, DatadogApi

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def api() -> AsyncIterator[DatadogApi]:
    async with DatadogApi() as one:
        yield one


@pytest.fixture
async def ask(api: DatadogApi) -> AsyncIterator[Ask]:
    async with aiohttp.ClientSession(api.url, headers=KEYS) as session:

        async def one(method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
            async with session.request(method, path, json=body, **more) as response:
                is_json = response.content_type == "application/json"
                return response.status, await response.json() if is_json else None

        yield one

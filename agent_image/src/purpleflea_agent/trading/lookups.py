"""Look-ups of an order or an escrow right after its request got no usable answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from purpleflea_agent.exchange.errors import ExchangeError

LOOKUP_DELAYS_S = (0.1, 0.4, 1.0, 2.0)
"""Delay before each look-up."""
LOOKUP_TIMEOUT_S = 8.0

T = TypeVar("T")


async def look_up(find: Callable[[], Awaitable[T | None]], delays_s: Sequence[float]) -> T | None:
    """Return the first result; None if there is none in time, or each attempt failed."""
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            for delay_s in delays_s:
                await asyncio.sleep(delay_s)
                try:
                    found = await find()
                except ExchangeError:
                    continue
                if found is not None:
                    return found
    except TimeoutError:
        pass
    return None

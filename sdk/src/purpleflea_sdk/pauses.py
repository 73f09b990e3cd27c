"""Pauses between two trading intervals, with signs of life: an agent that waits is neither dead nor stuck."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from purpleflea_contract.metrics import HEARTBEAT_PERIOD_S

SignOfLife = Callable[[], None] | None


async def pause(stopping: asyncio.Event, seconds: float, sign_of_life: SignOfLife) -> None:
    """Wait, or return at once when `stopping` is set. Call `sign_of_life` every 20 s, but not at the end."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not stopping.is_set() and (left := end - loop.time()) > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, HEARTBEAT_PERIOD_S)):
                await stopping.wait()
        if sign_of_life is not None and not stopping.is_set() and loop.time() < end:
            sign_of_life()


def pause_thread(stopping: threading.Event, seconds: float, sign_of_life: SignOfLife) -> None:
    """Do the same for a function that runs in a thread."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stopping.is_set():
        is_stopped = stopping.wait(min(left, HEARTBEAT_PERIOD_S))
        if sign_of_life is not None and not is_stopped and time.monotonic() < end:
            sign_of_life()

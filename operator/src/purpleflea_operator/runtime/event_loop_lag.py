"""Measures how late the event loop runs its callbacks, because a blocked loop delays halts and lease renewals.

The samples are due at fixed times. A loop that is blocked for a second delays every sample of that second, so one long
block weighs as much as it lasts. The module must not decide anything.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from purpleflea_operator import timings


def start(observe: Callable[[float], None]) -> asyncio.Task[None]:
    """Start to measure the running event loop. The caller cancels the task."""
    lag = measure(observe, clock=time.monotonic, sleep=asyncio.sleep)
    return asyncio.create_task(lag, name="event-loop-lag")


async def measure(
    observe: Callable[[float], None],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]],
) -> None:
    """Pass the lag of each sample in seconds to `observe`, without an end. `clock` returns monotonic seconds."""
    due = clock() + timings.LOOP_LAG_PERIOD_S
    while True:
        await sleep(max(0.0, due - clock()))
        now = clock()
        # After a suspend of the machine there would be thousands of late samples.
        due = max(due, now - timings.LOOP_LAG_LIMIT_S)
        while due <= now:
            observe(now - due)
            due += timings.LOOP_LAG_PERIOD_S

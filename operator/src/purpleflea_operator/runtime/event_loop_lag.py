"""Measures how late the event loop runs its callbacks, because a blocked loop delays halts and lease renewals.

The samples are due at fixed times. A loop that is blocked for a second delays every sample of that second, so one long
block weighs as much as it lasts. The own part of a lag is the time in which the thread of the loop ran. In the rest it
waited for a processor, because the node is overcommitted or the CPU limit of the container is reached. The module must
not decide anything.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from purpleflea_operator import timings

Observe = Callable[[float, float], None]
"""Receives the lag of a sample, and its own part, in seconds."""


def start(observe: Observe) -> asyncio.Task[None]:
    """Start to measure the running event loop. The caller cancels the task."""
    lag = measure(observe, clock=time.monotonic, cpu=time.thread_time, sleep=asyncio.sleep)
    return asyncio.create_task(lag, name="event-loop-lag")


async def measure(
    observe: Observe,
    *,
    clock: Callable[[], float],
    cpu: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]],
) -> None:
    """Pass the lag of each sample to `observe`, without an end.

    `clock` returns monotonic seconds, and `cpu` the seconds for which this thread has run. The own part counts from the
    sample before, so it is never too small.
    """
    due = clock() + timings.LOOP_LAG_PERIOD_S
    while True:
        before = cpu()
        await sleep(max(0.0, due - clock()))
        now, ran = clock(), cpu() - before
        # After a suspend of the machine there would be thousands of late samples.
        due = max(due, now - timings.LOOP_LAG_LIMIT_S)
        while due <= now:
            observe(now - due, min(now - due, ran))
            due += timings.LOOP_LAG_PERIOD_S

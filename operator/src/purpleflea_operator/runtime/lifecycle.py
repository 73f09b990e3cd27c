"""When things begin and end: told to stop, by flag or signal; led only while the lease is held.

Knows nothing of what it runs.

What stands between a replica and its work: the lease and the first lists, and why it cannot start, in one line.
"""

import asyncio
import functools
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.runtime.leader_election.elector import LeaderElector

Stop = asyncio.Event | threading.Event
Clock = Callable[[], float]


async def while_held(elector: LeaderElector, leading: Coroutine[Any, Any, None]) -> None:
    """Lead, and renew the lease, until either ends; then neither goes on, and the lease is free."""
    # Both tasks exist before kopf starts: it cancels those that start after it.
    tasks = (
        asyncio.create_task(elector.keep(), name="lease"),
        asyncio.create_task(leading, name="leading"),
    )
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await elector.release()


async def unless(stopping: asyncio.Task[None], doing: Coroutine[Any, Any, None]) -> bool:
    """Do it, unless told to stop meanwhile; whether it was done."""
    task = asyncio.create_task(doing)
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def listen(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set `stop`, in place of whatever they did before."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def until(stop: Stop) -> None:
    """Wait for the order to stop."""
    if isinstance(stop, asyncio.Event):
        await stop.wait()
        return
    while not stop.is_set():  # noqa: ASYNC110 - no event of another thread can be awaited
        await asyncio.sleep(timings.STOP_FLAG_POLL_S)


def running_clock() -> Clock:
    """Seconds that also pass while the machine sleeps, where there is such a clock: leases end meanwhile, too."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else functools.partial(time.clock_gettime, boot)


def standing_by(elector: LeaderElector) -> str:
    """Why a replica that does not lead yet is not ready; empty where it is."""
    if elector.is_leading:
        return "the first lists are not read yet"
    if elector.looked_s > timings.STANDBY_BLIND_S:
        return "the lease cannot be read"
    return ""


logger = logging.getLogger(__name__)


Prime = Callable[[], Awaitable[None]]


class StartError(Exception):
    """The operator cannot start; the text is one line that says why and what to do."""


async def acquired(elector: LeaderElector) -> None:
    """Stand by until this replica leads."""
    try:
        await elector.acquire()
    except errors.Forbidden as error:
        raise StartError(
            f"a right is missing: {error}; install the chart's Role (helm upgrade --install)"
        ) from error
    except errors.ApiError as error:
        raise StartError(
            f"the lease is refused: {error}; check PURPLEFLEA_OPERATOR_LEASE_NAMESPACE"
        ) from error


async def primed(primes: Iterable[Prime]) -> None:
    """Read the first lists; where the API server asks for patience, have it."""
    try:
        for prime in primes:
            while not await _is_done(prime):
                logger.warning("the API server asks for patience with the first lists")
    except errors.NotFound as error:
        crd = f"{resources.AGENT.plural}.{resources.AGENT.api_version.partition('/')[0]}"
        raise StartError(
            f"the custom resource {crd} is not installed: kubectl apply --server-side -f crds/"
        ) from error
    except errors.Forbidden as error:
        raise StartError(
            f"a right is missing: {error}; install the chart's roles (helm upgrade --install)"
        ) from error
    except errors.ApiError as error:
        raise StartError(f"the API server cannot be reached: {error}") from error


async def _is_done(prime: Prime) -> bool:
    try:
        await prime()
    except errors.Throttled as error:
        await asyncio.sleep(error.retry_after_s or timings.INITIAL_LIST_RETRY_S)
        return False
    return True

"""Lifecycle of a replica: stop signals, waiting for leadership, initial lists, and leading until the lease is lost.

The module also turns the errors of a start into one line with the remedy. It must not depend on the parts that run
while the replica leads: the caller passes these as coroutines.
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

logger = logging.getLogger(__name__)

Stop = asyncio.Event | threading.Event
Clock = Callable[[], float]
CacheSync = Callable[[], Awaitable[None]]
"""Reads the initial lists of one controller into its caches. Repeating it is safe."""

UPGRADE = (
    "helm upgrade --install purpleflea-operator charts/purpleflea-operator "
    "--namespace purpleflea-system"
)


class StartError(Exception):
    """The operator cannot start. The text is one line with the cause and the remedy."""


def running_clock() -> Clock:
    """Return a monotonic clock that, if the platform has one, also runs while the machine is suspended.

    A lease expires during a suspend, so a clock that stops would let a former leader write after it resumes.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else functools.partial(time.clock_gettime, boot)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT. Replaces the handlers that were installed before."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def wait_for_stop(stop: Stop) -> None:
    """Wait until the stop flag is set."""
    if isinstance(stop, asyncio.Event):
        await stop.wait()
        return
    while not stop.is_set():  # noqa: ASYNC110 - an event of another thread cannot be awaited
        await asyncio.sleep(timings.STOP_FLAG_POLL_S)


async def run_or_stop(stopping: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> bool:
    """Run `work` and cancel it if `stopping` ends first. Return True if `work` completed."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def wait_for_leadership(elector: LeaderElector) -> None:
    """Wait as a standby until this replica leads.

    Raises:
        StartError: The Lease cannot be read or written, and a retry cannot help.
    """
    try:
        await elector.acquire()
    except errors.Forbidden as error:
        raise StartError(
            f"missing permission for the lease: {error}; install the chart's Role: {UPGRADE}"
        ) from error
    except errors.ApiError as error:
        raise StartError(
            f"the API server rejected the lease: {error}; "
            "check that the namespace in PURPLEFLEA_OPERATOR_LEASE_NAMESPACE exists"
        ) from error


def standby_reason(elector: LeaderElector) -> str:
    """Return the reason why a replica that does not run its controllers yet is not ready, or an empty string."""
    if elector.is_leading:
        return "caches not synced: the initial lists are not complete"
    if elector.since_contact_s > timings.STANDBY_BLIND_S:
        return "the lease cannot be read from the API server"
    return ""


async def sync_caches(syncs: Iterable[CacheSync]) -> None:
    """Read the initial lists. A list that the API server throttles is retried.

    Raises:
        StartError: A list failed for another reason.
    """
    try:
        for sync in syncs:
            while not await _is_synced(sync):
                logger.warning("the API server throttled the initial lists; retrying")
    except errors.NotFound as error:
        crd = f"{resources.AGENT.plural}.{resources.AGENT.api_version.partition('/')[0]}"
        raise StartError(
            f"the custom resource {crd} is not installed; "
            "install it: kubectl apply --server-side -f crds/"
        ) from error
    except errors.Forbidden as error:
        raise StartError(
            f"missing permission: {error}; install the chart's roles: {UPGRADE}"
        ) from error
    except errors.ApiError as error:
        raise StartError(
            f"the API server cannot be reached: {error}; check the address with: kubectl cluster-info"
        ) from error


async def _is_synced(sync: CacheSync) -> bool:
    try:
        await sync()
    except errors.Throttled as error:
        await asyncio.sleep(error.retry_after_s or timings.INITIAL_LIST_RETRY_S)
        return False
    return True


async def run_while_leader(elector: LeaderElector, leading: Coroutine[Any, Any, None]) -> None:
    """Run `leading` and renew the lease until one of them ends. Then stop the other one and release the lease.

    Raises:
        LeaseLostError: Another replica may lead. `leading` is canceled before the error is raised.
    """
    # Both tasks must exist before kopf starts, because kopf cancels tasks that are created after its start.
    tasks = (
        asyncio.create_task(elector.keep_renewing(), name="lease"),
        asyncio.create_task(leading, name="leading"),
    )
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        # The lease is released last: as long as a task may still write, no other replica may lead.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await elector.release()

"""Lifecycle of a replica: stop signals, waiting for leadership, initial lists, and leading until the lease is lost.

The module also turns the errors of a start into one line with the remedy. It must not depend on the parts that run
while the replica leads: the caller passes these as coroutines.
"""

import asyncio
import functools
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.runtime.leader_election.elector import LeaderElector

logger = logging.getLogger(__name__)

Stop = asyncio.Event | threading.Event
Clock = Callable[[], float]

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


def freeze_objects() -> None:
    """Leave all objects that exist now out of garbage collections, which would visit them again and again.

    A full collection blocks the event loop for 60 ms without agents and for 80 ms with 10,000, and a list of objects
    causes many of them.
    """
    gc.collect()
    gc.freeze()


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


def standby_reason(elector: LeaderElector, waiting_for: str) -> str:
    """Return the reason why a replica that does not run its controllers yet is not ready, or an empty string."""
    if waiting_for:
        return f"caches not synced: {waiting_for}"
    if elector.since_contact_s > timings.STANDBY_BLIND_S:
        return "the lease cannot be read from the API server"
    return ""


async def run_while_leader(elector: LeaderElector, leading: Coroutine[Any, Any, None]) -> None:
    """Run `leading` and renew the lease until one of them ends. Then stop the other one and release the lease.

    Raises:
        LeaseLostError: Another replica may lead. `leading` is canceled before the error is raised.
    """
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

"""Workers: take a key from the queue, reconcile it, and queue it again according to the outcome.

The module has the only `except Exception` of the reconcile loop: an unexpected error is logged once with its key and
retried with backoff, and the other keys continue. It must not interpret a key or the objects behind it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Result of a pass without an error. If `requeue_after_s` is set, the key is queued again after this time."""

    requeue_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Wall clock for timestamps that people read, and monotonic clock in seconds for durations."""

    now: Callable[[], datetime]
    clock: Callable[[], float]


Reconcile = Callable[[NamespacedName], Awaitable[Result]]
Outcome = Literal["done", "again", "transient", "refused", "timeout", "failed"]
PassEndHook = Callable[[Outcome, float], None]
"""Receives the outcome of a pass and its duration in seconds."""


async def run_worker(
    queue: WorkQueue[NamespacedName],
    reconcile: Reconcile,
    *,
    before: WorkQueue[NamespacedName] | None = None,
) -> None:
    """Process keys until canceled. Before each pass, every urgent key of `before` must have a worker.

    After each pass the key has a cooldown, so that a burst of events causes one more pass, not many.
    """
    loop = asyncio.get_running_loop()
    while True:
        if before is not None:
            await before.wait_until_nothing_is_urgent()
        key = await queue.get()
        began = loop.time()
        try:
            await _reconcile(queue, reconcile, key)
        except BaseException:
            # The worker is canceled. Its key must not stay in processing, or no other worker could take it.
            queue.done(key)
            raise
        queue.done_after(
            key, min(timings.COOLDOWN_LIMIT_S, timings.COOLDOWN_FACTOR * (loop.time() - began))
        )


async def _reconcile(
    queue: WorkQueue[NamespacedName], reconcile: Reconcile, key: NamespacedName
) -> None:
    try:
        async with asyncio.timeout(timings.PASS_TIMEOUT_S):
            result = await reconcile(key)
    except errors.ApiError as error:
        _requeue_failed(queue, key, error, hold_s=error.retry_after_s)
    except TimeoutError as error:
        _requeue_failed(queue, key, error)
    except Exception:
        delay = queue.add_rate_limited(key)
        logger.exception(
            "reconcile failed with an unexpected error; retrying",
            extra={**_fields(key), "requeue_after_s": delay},
        )
    else:
        if result.requeue_after_s is None:
            queue.forget(key)
        else:
            queue.add_again(key, result.requeue_after_s)


def _requeue_failed(
    queue: WorkQueue[NamespacedName], key: NamespacedName, error: Exception, *, hold_s: float = 0.0
) -> None:
    delay = queue.add_rate_limited(key, hold_s=hold_s)
    logger.warning(
        "reconcile failed; retrying",
        extra={
            **_fields(key),
            "error": f"{type(error).__name__}: {error}",
            "requeue_after_s": round(delay, 2),
        },
    )


def _fields(key: NamespacedName) -> dict[str, str]:
    return {"namespace": key.namespace, "agent": key.name}


class TimedReconciler:
    """Calls a reconciler and records the durations of its passes, for metrics and for /livez. It changes no result."""

    def __init__(
        self,
        reconcile: Reconcile,
        *,
        clock: Callable[[], float],
        on_pass_end: PassEndHook,
    ) -> None:
        self._reconcile = reconcile
        self._clock = clock
        self._on_pass_end = on_pass_end
        self._began: dict[NamespacedName, float] = {}
        self._ended = clock()

    async def reconcile(self, key: NamespacedName) -> Result:
        """Run one pass. Errors of the reconciler are raised to the caller."""
        began = self._began[key] = self._clock()
        outcome: Outcome = "failed"
        try:
            result = await self._reconcile(key)
            outcome = "done" if result.requeue_after_s is None else "again"
            return result
        except errors.Transient:
            outcome = "transient"
            raise
        except errors.ApiError:
            outcome = "refused"
            raise
        except asyncio.CancelledError:
            outcome = "timeout"
            raise
        finally:
            del self._began[key]
            self._ended = self._clock()
            self._on_pass_end(outcome, self._ended - began)

    def longest_s(self) -> float:
        """Return the duration of the longest running pass, or 0 if no pass is running."""
        return self._clock() - min(self._began.values(), default=self._clock())

    def idle_s(self) -> float:
        """Return the time since a pass ended."""
        return self._clock() - self._ended

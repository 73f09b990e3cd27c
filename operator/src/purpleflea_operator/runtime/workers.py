"""Workers: take a key, reconcile it, decide by the outcome when it is its turn again.

The only place that catches everything: an unforeseen error is logged once with its key, counted by its backoff, and
never stops the others.

What is in work: since when each pass runs, when one last ended, and how. It changes nothing about a pass.
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
    """How a pass ended: nothing left to do, or to be run again after some seconds."""

    again_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The time of day, for what people read, and seconds that never jump, for waiting."""

    now: Callable[[], datetime]
    clock: Callable[[], float]


Reconcile = Callable[[NamespacedName], Awaitable[Result]]


async def work(queue: WorkQueue[NamespacedName], reconcile: Reconcile) -> None:
    """Work until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        key = await queue.take()
        began = loop.time()
        try:
            await _pass(queue, reconcile, key)
        except BaseException:
            queue.finish(key)
            raise
        queue.finish_after(
            key, min(timings.COOLDOWN_LIMIT_S, timings.COOLDOWN_FACTOR * (loop.time() - began))
        )


async def _pass(
    queue: WorkQueue[NamespacedName], reconcile: Reconcile, key: NamespacedName
) -> None:
    try:
        async with asyncio.timeout(timings.PASS_TIMEOUT_S):
            result = await reconcile(key)
    except errors.ApiError as error:
        _again(queue, key, error, hold_s=error.retry_after_s)
    except TimeoutError as error:
        _again(queue, key, error)
    except Exception:
        delay = queue.retry(key)
        logger.exception("reconciling failed", extra={**_fields(key), "again_after_s": delay})
    else:
        queue.succeed(key)
        if result.again_after_s is not None:
            queue.revisit(key, result.again_after_s)


def _again(
    queue: WorkQueue[NamespacedName], key: NamespacedName, error: Exception, *, hold_s: float = 0.0
) -> None:
    delay = queue.retry(key, hold_s=hold_s)
    logger.warning(
        "reconciling is tried again",
        extra={
            **_fields(key),
            "error": f"{type(error).__name__}: {error}",
            "again_after_s": round(delay, 2),
        },
    )


def _fields(key: NamespacedName) -> dict[str, str]:
    return {"namespace": key.namespace, "agent": key.name}


Outcome = Literal["done", "again", "transient", "refused", "timeout", "failed"]
Told = Callable[[Outcome, float], None]
"""Takes how a pass ended, and its seconds."""


class TimedReconciler:
    """Calls the reconciler and keeps time."""

    def __init__(
        self,
        reconcile: Callable[[NamespacedName], Awaitable[Result]],
        *,
        clock: Callable[[], float],
        tell: Told,
    ) -> None:
        self._reconcile = reconcile
        self._clock = clock
        self._tell = tell
        self._began: dict[NamespacedName, float] = {}
        self._ended = clock()

    async def reconcile(self, key: NamespacedName) -> Result:
        """One pass; whatever the reconciler raises goes on to the caller."""
        began = self._began[key] = self._clock()
        outcome: Outcome = "failed"
        try:
            result = await self._reconcile(key)
            outcome = "done" if result.again_after_s is None else "again"
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
            self._tell(outcome, self._ended - began)

    def longest_s(self) -> float:
        """For how long the pass that began first has run."""
        return self._clock() - min(self._began.values(), default=self._clock())

    def still_s(self) -> float:
        """For how long no pass has ended."""
        return self._clock() - self._ended

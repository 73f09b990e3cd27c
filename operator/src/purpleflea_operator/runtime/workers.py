"""Workers: take a key, reconcile it, decide by the outcome when it is its turn again.

The only place that catches everything: an unforeseen error is logged once with its key, counted by its backoff, and
never stops the others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from purpleflea_operator.cluster import errors
from purpleflea_operator.cluster.cache import Key
from purpleflea_operator.reconcile.reconciler import Result
from purpleflea_operator.runtime.queue import Queue

logger = logging.getLogger(__name__)

PASS_TIMEOUT_S = 120.0
REST, REST_LIMIT_S = 2.0, 0.25
"""A key rests for so many times as long as its pass took: passes over an agent with many pods are long, and in a burst
each event would bring another one. News that come meanwhile cost one pass together."""

Reconcile = Callable[[Key], Awaitable[Result]]


async def work(queue: Queue[Key], reconcile: Reconcile) -> None:
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
        queue.finish_after(key, min(REST_LIMIT_S, REST * (loop.time() - began)))


async def _pass(queue: Queue[Key], reconcile: Reconcile, key: Key) -> None:
    try:
        async with asyncio.timeout(PASS_TIMEOUT_S):
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


def _again(queue: Queue[Key], key: Key, error: Exception, *, hold_s: float = 0.0) -> None:
    delay = queue.retry(key, hold_s=hold_s)
    logger.warning(
        "reconciling is tried again",
        extra={
            **_fields(key),
            "error": f"{type(error).__name__}: {error}",
            "again_after_s": round(delay, 2),
        },
    )


def _fields(key: Key) -> dict[str, str]:
    return {"namespace": key.namespace, "agent": key.name}

"""Initial lists of the controllers: retries them with backoff until they are complete.

Only lasting causes (a missing CRD or permission, a wrong address) end the start, with one line that names the remedy.
The module must not list anything itself: the caller passes the lists.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from purpleflea_operator import timings
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.runtime.lifecycle import UPGRADE, StartError

logger = logging.getLogger(__name__)

InitialLists = Callable[[], Awaitable[None]]
"""Reads the initial lists of one controller into its caches. A repetition continues with the kinds that are missing."""


class CacheSync:
    """Reads the initial lists. `jitter` returns numbers in [0, 1), and `clock` returns monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._has_answered = False
        self._waiting_for = ""

    @property
    def waiting_for(self) -> str:
        """The list that failed last and its error, or an empty text."""
        return self._waiting_for

    async def run(self, lists: Iterable[InitialLists]) -> None:
        """Read all initial lists. A list that fails for a passing reason is retried.

        Raises:
            StartError: A list failed for a lasting reason.
        """
        for sync in lists:
            try:
                await self._retry(sync)
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
                    f"the API server cannot be reached: {error}; "
                    "check the address with: kubectl cluster-info"
                ) from error

    async def _retry(self, sync: InitialLists) -> None:
        started_at, failures = self._clock(), 0
        while True:
            try:
                await sync()
            except errors.Transient as error:
                self._has_answered = self._has_answered or not isinstance(error, errors.Unreachable)
                if not self._has_answered and (
                    self._clock() - started_at > timings.FIRST_CONTACT_S
                ):
                    raise
                self._report(error)
                ceiling = min(timings.INITIAL_LIST_LIMIT_S, timings.BACKOFF_BASE_S * 2.0**failures)
                failures = min(failures + 1, 16)
                await asyncio.sleep(error.retry_after_s + ceiling * (0.5 + self._jitter() / 2))
                continue
            self._has_answered = True
            if self._waiting_for:
                logger.info("the initial lists continue")
            self._waiting_for = ""
            return

    def _report(self, error: errors.ApiError) -> None:
        """Log the first failure of each list."""
        resource = error.path.rpartition("/")[2] or "an initial list"
        prefix = f"waiting for the list of {resource}: "
        if not self._waiting_for.startswith(prefix):
            logger.warning(
                "an initial list failed; retrying", extra={"path": error.path, "error": str(error)}
            )
        self._waiting_for = f"{prefix}{error}"

"""Carries out the election: looks, takes, renews, gives back, and guards the writes of a leader.

What to do is decided in `election`. The guard answers from the clock alone: a process that was frozen finds its lease
over before it can send anything.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.lease import LeaseRecord, LeaseStore
from purpleflea_operator.runtime.leader_election import decisions
from purpleflea_operator.runtime.leader_election.decisions import LeaseConfig, LeaseObservation

logger = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """The lease is no longer surely ours: everything must stop at once."""


class LeaderElector:
    """One replica's part in the election."""

    def __init__(
        self,
        leases: LeaseStore,
        config: LeaseConfig,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._leases = leases
        self._config = config
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._observation: LeaseObservation | None = None
        self._contacted_at: float | None = None
        self._renewed_at: float | None = None
        self._last_written: LeaseRecord | None = None

    @property
    def is_leading(self) -> bool:
        """Whether this replica leads, as of now."""
        return decisions.is_held(self._renewed_at, self._config, now=self._clock())

    @property
    def since_contact_s(self) -> float:
        """Seconds since the lease was last read or written."""
        return float("inf") if self._contacted_at is None else self._clock() - self._contacted_at

    def guard(self) -> None:
        """Let a write pass.

        Raises:
            Fenced: The lease is not surely ours.
        """
        if not self.is_leading:
            raise errors.Fenced("the lease is no longer surely ours: nothing is sent")

    async def acquire(self) -> None:
        """Stand by until this replica leads.

        Raises:
            Forbidden: There is no right to the lease.
            NotFound: Its namespace does not exist.
            Invalid: The API server refuses the lease.
        """
        failure = ""
        while True:
            try:
                wait_s = await self._try_acquire()
                failure = ""
            except (errors.Transient, TimeoutError) as error:
                if not failure:
                    logger.warning("the lease cannot be read", extra={"error": str(error)})
                failure, wait_s = str(error) or "timeout", self._config.retry_interval_s
            if wait_s is None:
                logger.info("leading", extra={"identity": self._config.identity})
                return
            await asyncio.sleep(wait_s)

    async def _try_acquire(self) -> float | None:
        """Look once, and take the lease where it is free. Returns how long to wait; None: it is ours."""
        async with asyncio.timeout(timings.LEASE_REQUEST_TIMEOUT_S):
            record = await self._leases.read()
        previous = self._observation
        self._contacted_at = self._clock()
        self._observation = decisions.observe(previous, record, now=self._contacted_at)
        step = decisions.next_candidate_step(
            self._observation,
            self._config,
            now=self._contacted_at,
            moment=self._now(),
            jitter=self._jitter(),
        )
        match step:
            case decisions.Wait(for_s=seconds):
                if _holder(previous) != _holder(self._observation):
                    logger.info("standing by", extra={"leader": _holder(self._observation)})
                return seconds
            case decisions.TryAcquire(record=wanted):
                try:
                    await self._write(wanted)
                except errors.Conflict:
                    return self._config.retry_interval_s * self._jitter()
                return None

    async def keep_renewing(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLostError: It could not be renewed in time, or another replica leads.
        """
        wait_s = self._config.renew_interval_s
        while True:
            await asyncio.sleep(wait_s)
            if not self.is_leading:
                raise LeaseLostError(f"not renewed for {self._config.renew_deadline_s:g} s")
            try:
                await self._renew()
                wait_s = min(self._config.renew_interval_s, self._remaining_s())
            except (errors.ApiError, TimeoutError) as error:
                logger.warning("the lease is not renewed", extra={"error": str(error) or "timeout"})
                wait_s = min(
                    self._config.retry_interval_s * (1 - self._jitter() / 2), self._remaining_s()
                )

    async def release(self) -> None:
        """Give the lease back, where it is ours, so that others need not wait for its end; at best effort."""
        if not self.is_leading:
            return
        self._renewed_at = None
        try:
            async with asyncio.timeout(timings.LEASE_REQUEST_TIMEOUT_S):
                current = await self._leases.read()
                if current is not None and current.holder == self._config.identity:
                    await self._leases.write(decisions.released_record(current, moment=self._now()))
                    logger.info("lease released")
        except (errors.ApiError, TimeoutError) as error:
            logger.warning("the lease is not released", extra={"error": str(error) or "timeout"})

    async def _renew(self) -> None:
        if self._last_written is None:
            raise LeaseLostError("never held")
        try:
            await self._renew_after(self._last_written)
        except errors.Conflict:
            # Perhaps our own write, whose answer was lost.
            async with asyncio.timeout(self._request_timeout_s()):
                current = await self._leases.read()
            await self._renew_after(current)
        except errors.NotFound:
            await self._renew_after(None)

    async def _renew_after(self, current: LeaseRecord | None) -> None:
        """Renew, where `current` is what the lease says."""
        if self._last_written is None:
            raise LeaseLostError("never held")
        match decisions.next_leader_step(
            current, self._last_written, self._config, moment=self._now()
        ):
            case decisions.LeadershipLost(reason=reason):
                raise LeaseLostError(reason)
            case decisions.Renew(record=record):
                await self._write(record)

    async def _write(self, record: LeaseRecord) -> None:
        # Counted from before the request: others count from when they see its effect, which is later.
        began = self._clock()
        async with asyncio.timeout(self._request_timeout_s()):
            self._last_written = await self._leases.write(record)
        self._renewed_at = self._contacted_at = began

    def _request_timeout_s(self) -> float:
        if self._renewed_at is None:
            return timings.LEASE_REQUEST_TIMEOUT_S
        return max(0.0, min(timings.LEASE_REQUEST_TIMEOUT_S, self._remaining_s()))

    def _remaining_s(self) -> float:
        """Seconds for which the lease is still surely ours."""
        renewed = self._renewed_at if self._renewed_at is not None else float("-inf")
        return max(0.0, renewed + self._config.renew_deadline_s - self._clock())


def _holder(seen: LeaseObservation | None) -> str:
    return seen.record.holder if seen is not None and seen.record is not None else ""

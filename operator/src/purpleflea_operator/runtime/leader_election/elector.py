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
        terms: LeaseConfig,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._leases = leases
        self._terms = terms
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._seen: LeaseObservation | None = None
        self._looked: float | None = None
        self._renewed: float | None = None
        self._mine: LeaseRecord | None = None

    @property
    def is_leading(self) -> bool:
        """Whether this replica leads, as of now."""
        return decisions.is_ours(self._renewed, self._terms, now=self._clock())

    @property
    def looked_s(self) -> float:
        """Seconds since the lease was last read or written."""
        return float("inf") if self._looked is None else self._clock() - self._looked

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
        hindrance = ""
        while True:
            try:
                wait_s = await self._look()
                hindrance = ""
            except (errors.Transient, TimeoutError) as error:
                if not hindrance:
                    logger.warning("the lease cannot be read", extra={"error": str(error)})
                hindrance, wait_s = str(error) or "timeout", self._terms.retry_s
            if wait_s is None:
                logger.info("leading", extra={"identity": self._terms.identity})
                return
            await asyncio.sleep(wait_s)

    async def _look(self) -> float | None:
        """Look once, and take the lease where it is free. Returns how long to wait; None: it is ours."""
        async with asyncio.timeout(timings.LEASE_REQUEST_TIMEOUT_S):
            record = await self._leases.read()
        before = self._seen
        self._looked = self._clock()
        self._seen = decisions.sight(before, record, now=self._looked)
        step = decisions.next_candidate_step(
            self._seen, self._terms, now=self._looked, moment=self._now(), jitter=self._jitter()
        )
        match step:
            case decisions.Wait(for_s=seconds):
                if _holder(before) != _holder(self._seen):
                    logger.info("standing by", extra={"leader": _holder(self._seen)})
                return seconds
            case decisions.TryAcquire(record=wanted):
                try:
                    await self._write(wanted)
                except errors.Conflict:
                    return self._terms.retry_s * self._jitter()
                return None

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLostError: It could not be renewed in time, or another replica leads.
        """
        wait_s = self._terms.renew_s
        while True:
            await asyncio.sleep(wait_s)
            if not self.is_leading:
                raise LeaseLostError(f"not renewed for {self._terms.deadline_s:g} s")
            try:
                await self._renew()
                wait_s = min(self._terms.renew_s, self._left_s())
            except (errors.ApiError, TimeoutError) as error:
                logger.warning("the lease is not renewed", extra={"error": str(error) or "timeout"})
                wait_s = min(self._terms.retry_s * (1 - self._jitter() / 2), self._left_s())

    async def release(self) -> None:
        """Give the lease back, where it is ours, so that others need not wait for its end; at best effort."""
        if not self.is_leading:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(timings.LEASE_REQUEST_TIMEOUT_S):
                found = await self._leases.read()
                if found is not None and found.holder == self._terms.identity:
                    await self._leases.write(decisions.released(found, moment=self._now()))
                    logger.info("lease released")
        except (errors.ApiError, TimeoutError) as error:
            logger.warning("the lease is not released", extra={"error": str(error) or "timeout"})

    async def _renew(self) -> None:
        if self._mine is None:
            raise LeaseLostError("never held")
        try:
            await self._follow(self._mine)
        except errors.Conflict:
            # Perhaps our own write, whose answer was lost.
            async with asyncio.timeout(self._request_timeout_s()):
                found = await self._leases.read()
            await self._follow(found)
        except errors.NotFound:
            await self._follow(None)

    async def _follow(self, found: LeaseRecord | None) -> None:
        """Renew, where `found` is what the lease says."""
        if self._mine is None:
            raise LeaseLostError("never held")
        match decisions.next_leader_step(found, self._mine, self._terms, moment=self._now()):
            case decisions.LeadershipLost(why=why):
                raise LeaseLostError(why)
            case decisions.Renew(record=record):
                await self._write(record)

    async def _write(self, record: LeaseRecord) -> None:
        # Counted from before the request: others count from when they see its effect, which is later.
        began = self._clock()
        async with asyncio.timeout(self._request_timeout_s()):
            self._mine = await self._leases.write(record)
        self._renewed = self._looked = began

    def _request_timeout_s(self) -> float:
        if self._renewed is None:
            return timings.LEASE_REQUEST_TIMEOUT_S
        return max(0.0, min(timings.LEASE_REQUEST_TIMEOUT_S, self._left_s()))

    def _left_s(self) -> float:
        """Seconds for which the lease is still surely ours."""
        renewed = self._renewed if self._renewed is not None else float("-inf")
        return max(0.0, renewed + self._terms.deadline_s - self._clock())


def _holder(seen: LeaseObservation | None) -> str:
    return seen.record.holder if seen is not None and seen.record is not None else ""

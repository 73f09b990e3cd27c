"""Leader elector: reads, acquires, renews and releases the lease, and fences the writes of a former leader.

The next step is computed in `decisions`; this module must only execute it. `guard` uses only the clock, so a process
that was frozen detects the expired lease before it sends a write.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from purpleflea_operator.kube import errors
from purpleflea_operator.kube.lease import LeaseRecord, LeaseStore
from purpleflea_operator.runtime.leader_election import decisions
from purpleflea_operator.runtime.leader_election.decisions import LeaseConfig, LeaseObservation

logger = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another replica may hold the lease, or the API server was restored: this process must stop all writes at once."""


class LeaderElector:
    """Takes part in the election for one replica."""

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
        self._newest: LeaseRecord | None = None
        self.standing_by = asyncio.Event()
        """Set when another replica leads, or the lease cannot be read, so that `acquire` waits."""

    @property
    def is_leading(self) -> bool:
        """True if this replica leads at this moment."""
        return decisions.is_held(self._renewed_at, self._config, now=self._clock())

    @property
    def since_contact_s(self) -> float:
        """Seconds since the lease was last read or written, or infinity if it never was."""
        return float("inf") if self._contacted_at is None else self._clock() - self._contacted_at

    def guard(self) -> None:
        """Check that this replica may write. Called directly before a write is sent.

        Raises:
            Fenced: Another replica may hold the lease.
        """
        if not self.is_leading:
            raise errors.Fenced("write not sent: another replica may hold the lease")

    async def acquire(self) -> None:
        """Wait until this replica leads. Failed requests that may succeed later are retried.

        Raises:
            LeaseLostError: The API server was restored, so the caches of this replica are outdated.
            Forbidden: The permission for the Lease is missing.
            NotFound: The namespace of the Lease does not exist.
            Invalid: The API server rejects the Lease.
        """
        failure = ""
        while True:
            try:
                wait_s = await self._try_acquire()
                failure = ""
            except (errors.Transient, TimeoutError) as error:
                if not failure:
                    logger.warning(
                        "the lease cannot be read or written; retrying",
                        extra={"error": str(error) or "timeout"},
                    )
                failure, wait_s = str(error) or "timeout", self._config.retry_interval_s
            if wait_s is None:
                logger.info(
                    "acquired the lease; leading", extra={"identity": self._config.identity}
                )
                return
            self.standing_by.set()
            await asyncio.sleep(wait_s)

    async def _try_acquire(self) -> float | None:
        """Read the lease and acquire it if it is free. Return the time until the next read, or None if acquired."""
        async with asyncio.timeout(self._config.request_timeout_s):
            record = await self._leases.read()
        previous = self._observation
        self._check_version(record)
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
                    logger.info(
                        "standing by; another replica leads",
                        extra={"leader": _holder(self._observation)},
                    )
                return seconds
            case decisions.TryAcquire(record=wanted):
                try:
                    await self._write(wanted)
                except errors.Conflict:
                    return self._config.retry_interval_s * self._jitter()
                return None

    async def keep_renewing(self) -> None:
        """Renew the lease until canceled.

        Raises:
            LeaseLostError: The lease was not renewed before the deadline, or another replica leads.
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
                logger.warning(
                    "renewing the lease failed; retrying until the renew deadline",
                    extra={"error": str(error) or "timeout"},
                )
                wait_s = min(
                    self._config.retry_interval_s * (1 - self._jitter() / 2), self._remaining_s()
                )

    async def release(self) -> None:
        """Release the lease if this replica holds it, so that a standby need not wait until it expires.

        Errors are only logged, because the lease then expires.
        """
        if not self.is_leading:
            return
        # The guard must reject writes before the release is sent, because a standby acquires a free lease at once.
        self._renewed_at = None
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                current = await self._leases.read()
                if current is not None and current.holder == self._config.identity:
                    await self._leases.write(decisions.released_record(current, moment=self._now()))
                    logger.info("lease released")
        except (errors.ApiError, TimeoutError) as error:
            logger.warning(
                "releasing the lease failed; a standby takes over when it expires",
                extra={"error": str(error) or "timeout"},
            )

    async def _renew(self) -> None:
        if self._last_written is None:
            raise LeaseLostError("the lease was never acquired")
        try:
            await self._renew_after(self._last_written)
        except errors.Conflict:
            # The conflict may come from our own last renewal if its response was lost. The content decides.
            async with asyncio.timeout(self._request_timeout_s()):
                current = await self._leases.read()
            self._check_version(current)
            await self._renew_after(current)
        except errors.NotFound:
            await self._renew_after(None)

    async def _renew_after(self, current: LeaseRecord | None) -> None:
        """Renew the lease, of which `current` is the present record."""
        if self._last_written is None:
            raise LeaseLostError("the lease was never acquired")
        match decisions.next_leader_step(
            current, self._last_written, self._config, moment=self._now()
        ):
            case decisions.LeadershipLost(reason=reason):
                raise LeaseLostError(reason)
            case decisions.Renew(record=record):
                await self._write(record)

    def _check_version(self, current: LeaseRecord | None) -> None:
        """Raise an error if the version is older than one that this replica has read or written."""
        last = self._newest
        if current is None:
            return
        self._newest = current
        if last is not None and decisions.is_restored(current, last):
            raise LeaseLostError(
                f"the resource version of the lease decreased from {last.version} to {current.version}, as after a "
                "restore of etcd; the operator restarts and lists everything again"
            )

    async def _write(self, record: LeaseRecord) -> None:
        # The time before the request counts: a standby counts from its first observation of the write, which is later.
        # If the response is late, this replica therefore stops too early rather than too late.
        began = self._clock()
        async with asyncio.timeout(self._request_timeout_s()):
            stored = await self._leases.write(record)
        self._check_version(stored)
        self._last_written = stored
        self._renewed_at = self._contacted_at = began

    def _request_timeout_s(self) -> float:
        if self._renewed_at is None:
            return self._config.request_timeout_s
        return max(0.0, min(self._config.request_timeout_s, self._remaining_s()))

    def _remaining_s(self) -> float:
        """Return the time until the renew deadline."""
        renewed = self._renewed_at if self._renewed_at is not None else float("-inf")
        return max(0.0, renewed + self._config.renew_deadline_s - self._clock())


def _holder(seen: LeaseObservation | None) -> str:
    return seen.record.holder if seen is not None and seen.record is not None else ""

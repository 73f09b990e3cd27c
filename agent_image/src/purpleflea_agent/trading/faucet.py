"""The faucet desk: claims when the balance is low, once per window of the faucet, beside the trading and never in
its way.

The window is the faucet's to know: it tells it with Retry-After. Until when not to ask is on disk before each claim, so
that a restart does not ask again. A repeated claim is safe: the faucet pays once per window by itself.
"""

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Callable
from decimal import Decimal

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, Refused
from purpleflea_agent.exchange.port import Exchange
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_contract import spans
from purpleflea_contract.settings import Faucet

NOT_BEFORE = "faucet_not_before"
"""Name of the journal's fact: seconds since the epoch before which no claim is made."""
PAUSE_AFTER_CLAIM_S = 3600.0
"""Pause where the faucet does not say how long its window is; if it is longer, the next answer says so."""
PAUSE_AFTER_FAILURE_S = 60.0
LONGEST_PAUSE_S = 7 * 24 * 3600.0
"""More than that is a clock that was wrong, or a nonsensical answer."""

logger = logging.getLogger("purpleflea.faucet")


class FaucetDesk:
    """Faucet claims of one agent."""

    def __init__(
        self,
        settings: Faucet,
        *,
        exchange: Exchange,
        journal: Journal,
        control: ControlFile,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._below_usd = Decimal(settings.below_usd)
        self._is_on = settings.auto_claim
        self._exchange = exchange
        self._journal = journal
        self._control = control
        self._clock = clock
        self._claiming: asyncio.Task[None] | None = None

    def consider(self, balance_usd: Decimal) -> None:
        """Begin a claim if the balance is low and the last one is over; returns at once."""
        is_idle = self._claiming is None or self._claiming.done()
        if (
            self._is_on
            and is_idle
            and balance_usd < self._below_usd
            and not self._control.is_stopped
        ):
            self._claiming = asyncio.create_task(
                self._claim_if_due(balance_usd),
                name="faucet",
                context=contextvars.Context(),  # a trace of its own: the interval's need not wait for it
            )

    async def finish(self) -> None:
        """Wait for the claim that is under way."""
        if self._claiming is not None:
            await asyncio.wait({self._claiming})

    async def stop(self) -> None:
        """Give up the claim that is under way; the faucet remembers by itself whether it paid."""
        if self._claiming is not None:
            self._claiming.cancel()
            await self.finish()

    async def _claim_if_due(self, balance_usd: Decimal) -> None:
        try:
            if not await self._is_due():
                return
            await self._pause(PAUSE_AFTER_FAILURE_S)
            with self._journal.awaiting_credit():
                pause_s = await self._claim(balance_usd)
            await self._pause(pause_s)
        except JournalError as error:
            logger.warning("No faucet claim", extra={"error.message": str(error)})

    async def _claim(self, balance_usd: Decimal) -> float:
        """Claim; seconds until the next claim may be made."""
        with tracing.span(spans.FAUCET_CLAIM) as span:
            logs.log_balance_alert("USD", balance_usd, self._below_usd)
            try:
                claim = await self._exchange.claim_faucet()
            except ExchangeError as error:
                span.fail(error)
                refused = isinstance(error, Refused)
                metrics.record_faucet_claim("refused" if refused else "failed")
                logger.warning(
                    "Faucet claim refused" if refused else "Faucet claim failed",
                    extra={"error.kind": type(error).__name__, "error.message": str(error)},
                )
                return _pause_after(error)
            await self._journal.credit(claim)
            span.set(amount_usd=claim.credited_usd)
        metrics.record_faucet_claim("claimed")
        logger.info("Faucet claimed", extra={"amount_usd": claim.credited_usd})
        return PAUSE_AFTER_CLAIM_S

    async def _is_due(self) -> bool:
        noted = await self._journal.fact(NOT_BEFORE)
        left_s = float(noted) - self._clock() if noted else 0.0
        return left_s <= 0 or left_s > LONGEST_PAUSE_S

    async def _pause(self, seconds: float) -> None:
        await self._journal.set_fact(NOT_BEFORE, str(self._clock() + seconds))


def _pause_after(error: ExchangeError) -> float:
    if isinstance(error, NeverSent):
        return PAUSE_AFTER_FAILURE_S
    retry_after_s = error.retry_after_s if isinstance(error, Refused) else None
    if retry_after_s is None or not math.isfinite(retry_after_s) or retry_after_s <= 0:
        return (
            PAUSE_AFTER_CLAIM_S  # also if the outcome is unknown, because the faucet may have paid
        )
    return min(retry_after_s, LONGEST_PAUSE_S)

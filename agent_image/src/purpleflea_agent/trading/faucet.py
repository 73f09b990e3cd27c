"""Faucet claims: when the balance is low, once per window of the faucet, in a task beside trading.

The faucet sends the length of its window in Retry-After. The time of the next claim is on disk before each claim, so a
restart does not claim again. A repeated claim is safe, because the faucet pays once per window.
"""

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Callable
from decimal import Decimal

from purpleflea_agent.exchange.errors import ExchangeError, Refused
from purpleflea_agent.exchange.port import Exchange
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_contract import spans, tags
from purpleflea_contract.settings import Faucet
from purpleflea_sdk.control import ControlFile, SendBlocked
from purpleflea_sdk.telemetry import logs, metrics, tracing

PAUSE_AFTER_CLAIM_S = 3600.0
"""Pause if the length of the window is not known; if the window is longer, the next answer contains its length."""
PAUSE_AFTER_FAILURE_S = 60.0
MAX_PAUSE_S = 7 * 24 * 3600.0
"""A longer pause comes from a wrong clock or an invalid answer."""

logger = logging.getLogger("purpleflea.faucet")


class FaucetClient:
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
        self._is_enabled = settings.auto_claim
        self._exchange = exchange
        self._journal = journal
        self._control = control
        self._clock = clock
        self._claim_task: asyncio.Task[None] | None = None

    def consider(self, balance_usd: Decimal, currency: str = tags.DEFAULT_CURRENCY) -> None:
        """Start a claim in the background if the balance is low and no claim is running; return at once.

        `currency` is the largest part of the balance, for the log.
        """
        is_idle = self._claim_task is None or self._claim_task.done()
        if (
            self._is_enabled
            and is_idle
            and balance_usd < self._below_usd
            and not self._control.is_stopped
        ):
            self._claim_task = asyncio.create_task(
                self._claim_if_due(balance_usd, currency),
                name="faucet",
                context=contextvars.Context(),  # a separate trace, so that the interval's trace can end before
            )

    async def finish(self) -> None:
        """Wait for the claim that is running."""
        if self._claim_task is not None:
            await asyncio.wait({self._claim_task})

    async def stop(self) -> None:
        """Cancel the claim that is running; the faucet itself records whether it paid."""
        if self._claim_task is not None:
            self._claim_task.cancel()
            await self.finish()

    async def _claim_if_due(self, balance_usd: Decimal, currency: str) -> None:
        try:
            if not await self._is_due():
                return
            await self._pause(PAUSE_AFTER_FAILURE_S)
            with self._journal.awaiting_credit():
                pause_s = await self._claim(balance_usd, currency)
            await self._pause(pause_s)
        except SendBlocked as blocked:
            logger.info("No faucet claim", extra={"reason": blocked.reason})
        except JournalError as error:
            logger.warning(
                "Faucet claim skipped, because the journal cannot be used",
                extra={"error.message": str(error)},
            )

    async def _claim(self, balance_usd: Decimal, currency: str) -> float:
        """Send a claim; return the seconds until the next claim may be sent."""
        with tracing.span(spans.FAUCET_CLAIM) as span:
            logs.log_balance_alert(currency, balance_usd, self._below_usd)
            try:
                with self._control.sending(lambda: self._control.claim_block_reason):
                    claim = await self._exchange.claim_faucet()
            except ExchangeError as error:
                span.fail(error)
                status = "refused" if isinstance(error, Refused) else "failed"
                metrics.record_faucet_claim(status)
                logs.log_faucet_failure(status, error)
                return _pause_after(error)
            await self._journal.credit(claim)
            span.set(amount_usd=claim.credited_usd)
        metrics.record_faucet_claim("claimed")
        logs.log_faucet_claim(claim.claim_id, claim.credited_usd)
        return PAUSE_AFTER_CLAIM_S

    async def _is_due(self) -> bool:
        not_before = await self._journal.faucet_not_before()
        remaining_s = not_before - self._clock() if not_before is not None else 0.0
        return remaining_s <= 0 or remaining_s > MAX_PAUSE_S

    async def _pause(self, seconds: float) -> None:
        await self._journal.postpone_claims(self._clock() + seconds)


def _pause_after(error: ExchangeError) -> float:
    if not isinstance(error, Refused):
        # The outcome may be unknown. A repeated claim cannot pay twice, and an agent without money cannot trade.
        return PAUSE_AFTER_FAILURE_S
    retry_after_s = error.retry_after_s
    if retry_after_s is None or not math.isfinite(retry_after_s) or retry_after_s <= 0:
        return PAUSE_AFTER_CLAIM_S
    return min(retry_after_s, MAX_PAUSE_S)

"""Orderly halt and shutdown, for the modes Halted and Stopped and for the end of the process.

The agent settles orders and escrows that are in flight. In the modes Halted and Stopped it cancels resting orders,
because they would be filled later, unless the spec keeps them. If the user requests it, Stopped also closes
positions. The time is bounded. Work that is incomplete at the deadline stays in the journal or open at the exchange, is
reported, and is retried while the process lives. ControlFile acknowledges the mode and decides if positions may be
closed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection

from purpleflea_agent.exchange.errors import ExchangeError, Refused
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.journal.orders import OrderEntry
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_sdk.control import ControlFile

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0)
"""Delays between the attempts before the deadline; the last delay repeats."""
WATCH_INTERVAL_S = 0.25
RETRY_INTERVAL_S = 5.0
"""Time between attempts after the deadline."""

logger = logging.getLogger("purpleflea.agent")


class Shutdown:
    """Drains one agent: settles its orders and escrows and, with `flatten`, closes its positions."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        orders: OrderManager,
        escrows: EscrowManager,
        journal: Journal,
        account: Account,
        control: ControlFile,
        flatten: bool,
        limit_s: float,
        keep_resting: bool = False,
        retry_s: float = RETRY_INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._escrows = escrows
        self._journal = journal
        self._account = account
        self._control = control
        self._flatten = flatten
        self._limit_s = limit_s
        self._keep_resting = keep_resting
        self._retry_s = retry_s
        self._monotonic = monotonic
        # Two attempts at the same time would each set the result.
        self._lock = asyncio.Lock()
        self.is_drained = False
        """True if the attempts ended: everything is done, or the deadline has passed."""
        self.incomplete: str | None = None
        """Description of the work that was not done before the deadline; in mode Halted, after the last attempt."""
        self.flattened: bool | None = None
        """True if no position and no resting order is left; None if that was not requested or is not known yet."""
        self._kept: str | None = None
        self._last_attempt = 0.0
        self._halt_attempts = 0

    @property
    def left_undone(self) -> str | None:
        """Description of the work that was not done, and of the resting orders that are kept on request."""
        return "; ".join(text for text in (self.incomplete, self._kept) if text) or None

    async def watch(self) -> None:
        """Drain whenever the mode is Stopped, cancel resting orders whenever it is Halted; run until canceled."""
        while True:
            if not self._control.is_stopped:
                self.is_drained, self.flattened = False, None
                await self._keep_halted()
            elif not self.is_drained or self._is_flatten_due():
                self._halt_attempts, self.is_drained = 0, False
                await self._drain(is_wanted=lambda: self._control.is_stopped)
            elif await self._is_retry_due():
                await self._retry()
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def run_at_exit(self) -> None:
        """Drain before the process ends. In mode Halted no position is closed, because that would be an order."""
        self._control.end()
        if self.incomplete is not None:
            self.is_drained = False
        await self._drain(is_wanted=lambda: True)

    async def _drain(self, *, is_wanted: Callable[[], bool]) -> None:
        """Attempt until the agent is drained, the deadline passes, or the request is withdrawn."""
        async with self._lock:
            deadline = self._monotonic() + self._limit_s
            attempts = 0
            while is_wanted() and not self.is_drained:
                flatten = self._may_flatten()
                incomplete = await self._attempt(flatten=flatten)
                delay_s = RETRY_DELAYS_S[min(attempts, len(RETRY_DELAYS_S) - 1)]
                if incomplete is None or self._monotonic() + delay_s > deadline:
                    self._finish(incomplete, flatten=flatten)
                else:
                    attempts += 1
                    await asyncio.sleep(delay_s)

    def _may_flatten(self) -> bool:
        self._control.refresh()
        return self._control.may_close and (self._flatten or self._control.flatten)

    def _is_flatten_due(self) -> bool:
        """Return whether the request to close positions arrived after the agent had drained without it."""
        return self._control.flatten and self.flattened is None

    async def _keep_halted(self) -> None:
        """In mode Halted, settle what was sent and cancel resting orders, until nothing is open. Then check rarely."""
        if not self._control.is_halted:
            self.incomplete, self._kept, self._halt_attempts = None, None, 0
            return
        if self._monotonic() - self._last_attempt < self._halt_delay_s():
            return
        async with self._lock:
            incomplete = await self._attempt(flatten=False)
        if incomplete is not None and incomplete != self.incomplete:
            logger.warning("Halted with unfinished work", extra={"left_undone": incomplete})
        self.incomplete = incomplete
        self._halt_attempts += 1
        self._last_attempt = self._monotonic()

    def _halt_delay_s(self) -> float:
        if not self._halt_attempts:
            return 0.0
        is_busy = self.incomplete is not None or self._orders.is_sending
        if is_busy and self._halt_attempts <= len(RETRY_DELAYS_S):
            return RETRY_DELAYS_S[self._halt_attempts - 1]
        return self._retry_s

    async def _is_retry_due(self) -> bool:
        if self._monotonic() - self._last_attempt < self._retry_s:
            return False
        try:
            # An order that was given up may appear late, and rest at the exchange.
            return self.incomplete is not None or bool(await self._journal.unfinished())
        except JournalError:
            return True

    async def _retry(self) -> None:
        async with self._lock:
            flatten = self._may_flatten()
            self._finish(await self._attempt(flatten=flatten), flatten=flatten)

    def _finish(self, incomplete: str | None, *, flatten: bool) -> None:
        if incomplete is not None and incomplete != self.incomplete:
            logger.warning(
                "Shutdown deadline reached with unfinished work", extra={"left_undone": incomplete}
            )
        self.is_drained, self.incomplete = True, incomplete
        self.flattened = incomplete is None if flatten else None
        self._last_attempt = self._monotonic()

    async def _attempt(self, *, flatten: bool) -> str | None:
        """Do all steps once; return a description of the work that is incomplete, or None.

        Every step is tried, even if an earlier one failed: an order that cannot be canceled must not keep a position
        open.
        """
        texts = [
            await _error_of(self._orders.settle_unfinished()),
            await _error_of(self._escrows.settle_sent()),
        ]
        if self._cancels(flatten=flatten):
            texts.append(await _error_of(self._orders.cancel_resting()))
        if flatten:
            texts += await self._close_positions()
        try:
            texts += await self._remaining(flatten=flatten)
        except JournalError as error:
            texts.append(str(error))
        return "; ".join(dict.fromkeys(text for text in texts if text)) or None

    def _cancels(self, *, flatten: bool) -> bool:
        """Return whether resting orders are canceled: positions that are closed must not be reopened by one."""
        return flatten or (self._control.is_halted and not self._keep_resting)

    async def _close_positions(self) -> list[str | None]:
        refresh_error = await _error_of(self._account.refresh_portfolio())
        texts = [refresh_error]
        for market in sorted(self._account.open_markets) if refresh_error is None else ():
            try:
                await self._orders.close_position(market)
            except (Refused, OrderUnsettled) as error:
                # Concerns this market only; another position can still be closed.
                texts.append(_public_text(error))
            except (ExchangeError, JournalError, OrderRefused) as error:
                texts.append(_public_text(error))
                break
        texts.append(await _error_of(self._account.refresh_portfolio()))
        return texts

    async def _remaining(self, *, flatten: bool) -> list[str | None]:
        unfinished = await self._journal.unfinished()
        unknown = {entry.request.market for entry in unfinished if entry.is_unsettled}
        self._kept = None
        resting = {_named(entry) for entry in unfinished if entry.is_resting}
        if not self._cancels(flatten=flatten):
            is_kept = self._control.is_halted
            self._kept = _listed("resting orders that are kept", resting if is_kept else ())
            resting = set()
        escrows = {
            entry.request.counterparty_id
            for entry in await self._journal.unfinished_escrows()
            if entry.is_unsettled
        }
        return [
            _listed("orders of unknown outcome", unknown),
            _listed("escrows of unknown outcome, to", escrows),
            _listed("resting orders", resting),
            _listed("open positions", self._account.open_markets if flatten else ()),
        ]


def _named(entry: OrderEntry) -> str:
    """Return the market of an order and its id at the exchange, for people who cancel it there."""
    return " ".join((entry.request.market, *((entry.order.order_id,) if entry.order else ())))


def _listed(title: str, names: Collection[str]) -> str | None:
    return f"{title}: {', '.join(sorted(names))}" if names else None


async def _error_of(work: Awaitable[object]) -> str | None:
    """Await the work; return the public text of its error, or None."""
    try:
        await work
    except (ExchangeError, JournalError, OrderRefused, OrderUnsettled) as error:
        return _public_text(error)
    except (
        Exception
    ):  # a defect in the handling of one order must not keep another from its cancellation
        logger.exception("A step of the shutdown failed unexpectedly; retrying")
        return "a step failed unexpectedly, see the log"
    return None


def _public_text(error: Exception) -> str:
    return error.in_public if isinstance(error, ExchangeError) else str(error)

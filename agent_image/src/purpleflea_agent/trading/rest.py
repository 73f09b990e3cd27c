"""Coming to rest, for the mode Stopped and for the end of the process: orders on their way are resolved, and where
the user says so, resting orders are taken back and positions closed.

It is bounded in time: what is not done by then stays in the journal, or open at the exchange, is said, and tried again
now and then while the agent lives. Which mode it is, and acknowledging it, are others' business.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.orders import OrderDesk, OrderUnsettled

PAUSES_S = (0.2, 0.5, 1.0, 2.0)
"""Waits between the tries; the last one repeats."""
WATCH_INTERVAL_S = 0.25
RETRY_INTERVAL_S = 5.0
"""Between two more tries of what could not be done in time."""

logger = logging.getLogger("purpleflea.agent")


class Rest:
    """The way of one agent to rest."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        desk: OrderDesk,
        journal: Journal,
        account: Account,
        flatten: bool,
        limit_s: float,
        retry_s: float = RETRY_INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._account = account
        self._flatten = flatten
        self._limit_s = limit_s
        self._retry_s = retry_s
        self._monotonic = monotonic
        # Two at once would close a position twice.
        self._turn = asyncio.Lock()
        self.is_reached = False
        self.left_undone: str | None = None
        """What could not be done in time."""
        self.flattened: bool | None = None
        """Whether no position is left; None where that was not asked for, or is not known yet."""
        self._tried_at = 0.0

    async def watch(self, control: ControlFile) -> None:
        """Come to rest whenever the mode is Stopped, for ever."""
        while True:
            if not control.is_stopped:
                self.is_reached, self.left_undone, self.flattened = False, None, None
            elif not self.is_reached:
                await self._come(flatten=self._flatten, is_wanted=lambda: control.is_stopped)
            elif self._is_worth_another_try():
                await self._try_again(flatten=self._flatten)
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def come_at_the_end(self, control: ControlFile) -> None:
        """Come to rest before the process ends. Halted means no order at all: then nothing is closed."""
        may_order = control.is_stopped or not control.is_halted
        if self.left_undone is not None:
            self.is_reached = False
        await self._come(flatten=self._flatten and may_order, is_wanted=lambda: True)

    async def _come(self, *, flatten: bool, is_wanted: Callable[[], bool]) -> None:
        """Try until at rest, out of time, or no longer wanted; nothing where that is done."""
        async with self._turn:
            deadline = self._monotonic() + self._limit_s
            tries = 0
            while is_wanted() and not self.is_reached:
                undone = await self._undone(flatten=flatten)
                pause_s = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
                if undone is None or self._monotonic() + pause_s > deadline:
                    self._conclude(undone, flatten=flatten)
                else:
                    tries += 1
                    await asyncio.sleep(pause_s)

    def _is_worth_another_try(self) -> bool:
        late = self._monotonic() - self._tried_at >= self._retry_s
        return self.left_undone is not None and late

    async def _try_again(self, *, flatten: bool) -> None:
        async with self._turn:
            self._conclude(await self._undone(flatten=flatten), flatten=flatten)

    def _conclude(self, undone: str | None, *, flatten: bool) -> None:
        if undone is not None and undone != self.left_undone:
            logger.warning("Not all is done, and the time is up", extra={"left_undone": undone})
        self.is_reached, self.left_undone = True, undone
        self.flattened = undone is None if flatten else None
        self._tried_at = self._monotonic()

    async def _undone(self, *, flatten: bool) -> str | None:
        """Do what can be done now; what is still to do."""
        try:
            await self._desk.settle_unfinished()
            unsettled = {
                entry.request.market
                for entry in await self._journal.unfinished()
                if entry.is_unsettled
            }
            if flatten:
                await self._desk.cancel_resting()
                await self._close_positions(unsettled)
        except (ExchangeError, JournalError, OrderUnsettled) as error:
            return str(error)
        if unsettled:
            return f"orders of unknown outcome: {', '.join(sorted(unsettled))}"
        still_open = sorted(self._account.open_markets) if flatten else []
        return f"open positions: {', '.join(still_open)}" if still_open else None

    async def _close_positions(self, unsettled: set[str]) -> None:
        # Where an order may still arrive, closing what is seen now would be a guess.
        await self._account.refresh_portfolio()
        for position in self._account.portfolio.positions:
            if position.size and position.market not in unsettled:
                await self._desk.close_position(position.market, position.size)
        if self._account.open_markets:
            await self._account.refresh_portfolio()

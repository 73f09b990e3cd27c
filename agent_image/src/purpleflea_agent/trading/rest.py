"""Coming to rest, for the mode Stopped and for the end of the process: what is on its way is resolved, and where the
user says so, resting orders are taken back and positions closed.

It is bounded in time: what is not done by then stays in the journal, or open at the exchange, is said, and tried again
now and then while the agent lives. Acknowledging a mode, and whether it allows to close, are others' business.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection

from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError, Refused
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_agent.trading.escrows import EscrowDesk
from purpleflea_agent.trading.orders import OrderDesk

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
        escrows: EscrowDesk,
        journal: Journal,
        account: Account,
        control: ControlFile,
        flatten: bool,
        limit_s: float,
        retry_s: float = RETRY_INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._escrows = escrows
        self._journal = journal
        self._account = account
        self._control = control
        self._flatten = flatten
        self._limit_s = limit_s
        self._retry_s = retry_s
        self._monotonic = monotonic
        # Two at once would each conclude for itself.
        self._turn = asyncio.Lock()
        self.is_reached = False
        self.left_undone: str | None = None
        """What could not be done in time."""
        self.flattened: bool | None = None
        """Whether no position and no resting order is left; None where that was not asked for, or is not known yet."""
        self._tried_at = 0.0

    async def watch(self) -> None:
        """Come to rest whenever the mode is Stopped, for ever."""
        while True:
            if not self._control.is_stopped:
                self.is_reached, self.left_undone, self.flattened = False, None, None
            elif not self.is_reached:
                await self._come(is_wanted=lambda: self._control.is_stopped)
            elif self._is_worth_another_try():
                await self._try_again()
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def come_at_the_end(self) -> None:
        """Come to rest before the process ends. Halted means no order at all: then nothing is closed."""
        self._control.end()
        if self.left_undone is not None:
            self.is_reached = False
        await self._come(is_wanted=lambda: True)

    async def _come(self, *, is_wanted: Callable[[], bool]) -> None:
        """Try until at rest, out of time, or no longer wanted; nothing where that is done."""
        async with self._turn:
            deadline = self._monotonic() + self._limit_s
            tries = 0
            while is_wanted() and not self.is_reached:
                flatten = self._is_to_flatten()
                undone = await self._undone(flatten=flatten)
                pause_s = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
                if undone is None or self._monotonic() + pause_s > deadline:
                    self._conclude(undone, flatten=flatten)
                else:
                    tries += 1
                    await asyncio.sleep(pause_s)

    def _is_to_flatten(self) -> bool:
        self._control.refresh()
        return self._flatten and self._control.may_close

    def _is_worth_another_try(self) -> bool:
        late = self._monotonic() - self._tried_at >= self._retry_s
        return self.left_undone is not None and late

    async def _try_again(self) -> None:
        async with self._turn:
            flatten = self._is_to_flatten()
            self._conclude(await self._undone(flatten=flatten), flatten=flatten)

    def _conclude(self, undone: str | None, *, flatten: bool) -> None:
        if undone is not None and undone != self.left_undone:
            logger.warning("Not all is done, and the time is up", extra={"left_undone": undone})
        self.is_reached, self.left_undone = True, undone
        self.flattened = undone is None if flatten else None
        self._tried_at = self._monotonic()

    async def _undone(self, *, flatten: bool) -> str | None:
        """Do what can be done now; what is still to do, in words.

        Each part is tried, whatever became of the one before: an order that cannot be taken back closes no position.
        """
        words = [
            await _trouble(self._desk.settle_unfinished()),
            await _trouble(self._escrows.settle_sent()),
        ]
        if flatten:
            words.append(await _trouble(self._desk.cancel_resting()))
            words += await self._close_positions()
        try:
            words += await self._left(flatten=flatten)
        except JournalError as error:
            words.append(str(error))
        return "; ".join(dict.fromkeys(word for word in words if word)) or None

    async def _close_positions(self) -> list[str | None]:
        before = await _trouble(self._account.refresh_portfolio())
        words = [before]
        for market in sorted(self._account.open_markets) if before is None else ():
            try:
                await self._desk.close_position(market)
            except Refused as error:  # of this market; another one may be closed
                words.append(error.in_public)
            except (ExchangeError, JournalError, OrderRefused, OrderUnsettled) as error:
                words.append(_public(error))
                break
        words.append(await _trouble(self._account.refresh_portfolio()))
        return words

    async def _left(self, *, flatten: bool) -> list[str | None]:
        unfinished = await self._journal.unfinished()
        unknown = {entry.request.market for entry in unfinished if entry.is_unsettled}
        resting = {entry.request.market for entry in unfinished if entry.is_resting}
        escrows = {
            entry.request.counterparty_id
            for entry in await self._journal.unfinished_escrows()
            if entry.is_unsettled
        }
        return [
            _listed("orders of unknown outcome", unknown),
            _listed("escrows of unknown outcome, to", escrows),
            _listed("resting orders", resting if flatten else ()),
            _listed("open positions", self._account.open_markets if flatten else ()),
        ]


def _listed(what: str, names: Collection[str]) -> str | None:
    return f"{what}: {', '.join(sorted(names))}" if names else None


async def _trouble(work: Awaitable[object]) -> str | None:
    """Do it; what went wrong, in words that anybody may read."""
    try:
        await work
    except (ExchangeError, JournalError, OrderRefused, OrderUnsettled) as error:
        return _public(error)
    return None


def _public(error: Exception) -> str:
    return error.in_public if isinstance(error, ExchangeError) else str(error)

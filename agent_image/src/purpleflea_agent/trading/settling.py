"""Settling at a pace of its own, whatever the trading interval: what became of orders and escrows is asked for every
few seconds while something is open, and a journal that could not be written is tried again.

What to ask, and how much of it at once, is the desks' business.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.trading.escrows import EscrowDesk
from purpleflea_agent.trading.orders import OrderDesk

PAUSE_S = 2.0

logger = logging.getLogger("purpleflea.settling")


class Settling:
    """The settling of one agent."""

    def __init__(self, *, desk: OrderDesk, escrows: EscrowDesk, journal: Journal) -> None:
        self._journal = journal
        self._work: dict[str, Callable[[], Awaitable[None]]] = {
            "orders": desk.settle_unfinished,
            "escrows": escrows.settle_unfinished,
            "journal": self._prove_journal,
        }
        self._troubles: dict[str, str] = {}

    async def run(self) -> None:
        """Settle for ever. Each kind by itself: they are different services, and one's silence is not the other's."""
        while True:
            for name, work in self._work.items():
                await self._try(name, work)
            await asyncio.sleep(PAUSE_S)

    async def _prove_journal(self) -> None:
        if self._journal.trouble is not None:
            await self._journal.prove()

    async def _try(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ExchangeError, JournalError) as error:
            if self._troubles.get(name) != str(error):  # not again every few seconds
                self._troubles[name] = str(error)
                logger.warning("Not settled: %s", name, extra={"error.message": str(error)})
        except Exception:  # the edge: what is wrong with one order must not end the agent
            logger.exception("Settling failed: %s", name)
        else:
            self._troubles.pop(name, None)

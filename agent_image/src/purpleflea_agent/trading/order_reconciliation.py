"""Look-up of unfinished orders and escrows every few seconds, independent of the trading interval.

It also retries a journal that could not be written. The managers decide which orders to look up, and how many.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.order_manager import OrderManager

INTERVAL_S = 2.0

logger = logging.getLogger("purpleflea.reconciliation")


class OrderReconciler:
    """The background look-up of one agent."""

    def __init__(self, *, orders: OrderManager, escrows: EscrowManager, journal: Journal) -> None:
        self._journal = journal
        self._tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "orders": orders.settle_unfinished,
            "escrows": escrows.settle_unfinished,
            "journal": self._check_journal,
        }
        self._errors: dict[str, str] = {}

    async def run(self) -> None:
        """Run until canceled. Each task is independent, because orders and escrows are different services."""
        while True:
            for name, task in self._tasks.items():
                await self._try(name, task)
            await asyncio.sleep(INTERVAL_S)

    async def _check_journal(self) -> None:
        if self._journal.write_error is not None:
            await self._journal.check_writable()

    async def _try(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except (ExchangeError, JournalError) as error:
            if self._errors.get(name) != str(error):  # log a repeated error once
                self._errors[name] = str(error)
                logger.warning(
                    "Background check of %s failed; retrying",
                    name,
                    extra={"error.message": str(error)},
                )
        except Exception:  # a defect in the handling of one order must not end the agent
            logger.exception("Background check of %s failed unexpectedly; retrying", name)
        else:
            self._errors.pop(name, None)

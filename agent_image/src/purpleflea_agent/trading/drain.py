"""The report about work in progress that an acknowledgement of the trading mode contains. It changes nothing."""

from purpleflea_agent.journal import Journal, JournalError
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_agent.trading.shutdown import Shutdown
from purpleflea_sdk.control import ControlFile, Drain


class DrainReporter:
    """Reports whether one agent is drained."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        orders: OrderManager,
        escrows: EscrowManager,
        journal: Journal,
        control: ControlFile,
        shutdown: Shutdown,
        keep_resting: bool,
    ) -> None:
        self._orders = orders
        self._escrows = escrows
        self._journal = journal
        self._control = control
        self._shutdown = shutdown
        self._keep_resting = keep_resting

    async def report(self) -> Drain:
        """Return the state of the work in progress in the present mode."""
        is_drained = await self._is_drained()
        return Drain(
            is_drained=is_drained and not self._is_sending,
            is_sending=self._is_sending,
            flattened=self._shutdown.flattened,
            left_undone=self._shutdown.left_undone,
        )

    @property
    def _is_sending(self) -> bool:
        return self._orders.is_sending or self._escrows.is_sending

    async def _is_drained(self) -> bool:
        if not self._control.is_halted or self._is_sending:
            return False
        if self._control.is_stopped and not self._shutdown.is_drained:
            return False
        return await self._is_settled()

    async def _is_settled(self) -> bool:
        """Return whether all outcomes are known, and no order is open that is to be canceled.

        False if the journal cannot be read.
        """
        try:
            orders = await self._journal.unfinished()
            escrows = await self._journal.unfinished_escrows()
        except JournalError:
            return False
        open_orders = [entry for entry in orders if entry.is_unsettled or not self._keep_resting]
        return not open_orders and not any(entry.is_unsettled for entry in escrows)

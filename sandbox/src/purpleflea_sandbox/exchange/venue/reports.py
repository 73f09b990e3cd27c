"""Reports for tests and the demo: all accounts and the order counts of every agent, across all
owners.
"""

from dataclasses import dataclass
from decimal import Decimal

from purpleflea_sandbox.exchange.core.margin import Holdings
from purpleflea_sandbox.exchange.core.orders import OrderStatus
from purpleflea_sandbox.exchange.storage import accounts, orders
from purpleflea_sandbox.exchange.storage.accounts import Account
from purpleflea_sandbox.exchange.storage.orders import Tally
from purpleflea_sandbox.exchange.venue.place import Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One account with its holdings at current prices and its number of orders."""

    account: Account
    holdings: Holdings
    tally: Tally

    @property
    def realized_pnl_usd(self) -> Decimal:
        return sum((p.realized_pnl_usd for p in self.holdings.positions.values()), Decimal(0))

    def count(self, status: OrderStatus) -> int:
        return self.tally.by_status.get(status, 0)


def standings(venue: Venue) -> list[Standing]:
    """Return a report for every account; the cost grows with the number of accounts, not with their
    orders.
    """
    positions = accounts.positions_of_all(venue.database)
    tallies = orders.tallies(venue.database)
    marks = venue.marks()
    return [
        Standing(
            account=account,
            holdings=Holdings(
                cash_usd=account.cash_usd,
                positions=positions.get(account.account_id, {}),
                marks=marks,
            ),
            tally=tallies.get(
                account.account_id, Tally(account_id=account.account_id, by_status={})
            ),
        )
        for account in accounts.every(venue.database)
    ]

"""Reports for tests and the demo: all accounts and the order counts of every agent, across all
owners.
"""

from dataclasses import dataclass
from decimal import Decimal

from purpleflea_sandbox.exchange.core.margin import Holdings
from purpleflea_sandbox.exchange.core.orders import OrderStatus
from purpleflea_sandbox.exchange.storage import accounts, orders
from purpleflea_sandbox.exchange.storage.accounts import Account
from purpleflea_sandbox.exchange.storage.orders import OrderCounts
from purpleflea_sandbox.exchange.venue.context import VenueContext


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """One account with its holdings at current prices and its number of orders."""

    account: Account
    holdings: Holdings
    order_counts: OrderCounts

    @property
    def realized_pnl_usd(self) -> Decimal:
        return sum((p.realized_pnl_usd for p in self.holdings.positions.values()), Decimal(0))

    def count(self, status: OrderStatus) -> int:
        return self.order_counts.by_status.get(status, 0)


def account_reports(venue: VenueContext) -> list[AccountReport]:
    """Return a report for every account; the cost grows with the number of accounts, not with their
    orders.
    """
    positions = accounts.positions_of_all(venue.database)
    order_counts = orders.order_counts(venue.database)
    marks = venue.marks()
    return [
        AccountReport(
            account=account,
            holdings=Holdings(
                cash_usd=account.cash_usd,
                positions=positions.get(account.account_id, {}),
                marks=marks,
            ),
            order_counts=order_counts.get(
                account.account_id, OrderCounts(account_id=account.account_id, by_status={})
            ),
        )
        for account in accounts.every(venue.database)
    ]

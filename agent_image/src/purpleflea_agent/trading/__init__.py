"""Trading of one agent: the loop, strategies, risk limits, orders, escrows, and the orderly end.

The names below are public, for agents with their own loop: see docs/own-trading-agent.md. `open_trading` of the package
purpleflea_agent creates them. Amounts are Decimal: money and prices in US dollars, sizes in base units.
"""

from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import (
    EscrowUnsettled,
    KeyReused,
    OrderRefused,
    OrderRejected,
    OrderUnsettled,
)
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.exposure import PositionRange
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_agent.trading.order_reconciliation import OrderReconciler
from purpleflea_agent.trading.shutdown import Shutdown

__all__ = [
    "Account",
    "EscrowManager",
    "EscrowUnsettled",
    "KeyReused",
    "OrderManager",
    "OrderReconciler",
    "OrderRefused",
    "OrderRejected",
    "OrderUnsettled",
    "PositionRange",
    "Shutdown",
]

"""Access to the Purple Flea services.

The names below are public: the port `Exchange` with its values, and the errors. Each dialect of the services is a
folder with an adapter of the port: `seed`. Amounts are Decimal: money and prices in US dollars, sizes in base units.
"""

from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import (
    Balance,
    Candles,
    Claim,
    Escrow,
    EscrowRequest,
    Exchange,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Portfolio,
    Position,
    Side,
)

__all__ = [
    "Balance",
    "Candles",
    "Claim",
    "Escrow",
    "EscrowRequest",
    "Exchange",
    "ExchangeError",
    "NeverSent",
    "Order",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "OutcomeUnknown",
    "Portfolio",
    "Position",
    "Refused",
    "Side",
]

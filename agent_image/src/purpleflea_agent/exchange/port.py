"""What the agent needs of an exchange, in its own words; no HTTP here.

Money, prices and sizes are Decimal. Every method raises exchange.errors.ExchangeError and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit"]


class OrderStatus(StrEnum):
    """State of an order at the exchange."""

    FILLED = "filled"
    OPEN = "open"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order to send. Its idempotency key is its identity: the exchange fills one key at most once."""

    idempotency_key: str
    market: str
    side: Side
    size: Decimal
    type: OrderType = "market"
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as the exchange knows it."""

    order_id: str
    idempotency_key: str
    market: str
    side: Side
    size: Decimal
    type: OrderType
    status: OrderStatus
    price: Decimal | None = None
    filled_size: Decimal = Decimal(0)
    fee_usd: Decimal = Decimal(0)
    realized_pnl_usd: Decimal = Decimal(0)
    reject_reason: str | None = None
    status_code: int | None = field(default=None, compare=False)
    """HTTP status of the answer to the order, where this is that answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position; `size` is negative where it is short."""

    market: str
    size: Decimal
    mark_price: Decimal
    notional_usd: Decimal
    unrealized_pnl_usd: Decimal
    realized_pnl_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """All positions, and what the account is worth."""

    positions: tuple[Position, ...]
    equity_usd: Decimal

    def size_of(self, market: str) -> Decimal:
        """Signed size of the position in `market`; zero where there is none."""
        return sum((item.size for item in self.positions if item.market == market), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What the wallet holds of one currency."""

    currency: str
    amount: Decimal
    usd_value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowRequest:
    """An escrow to open."""

    idempotency_key: str
    counterparty_id: str
    amount_usd: Decimal
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """An escrow as the exchange knows it."""

    escrow_id: str
    status: str
    counterparty_id: str
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A payment of the faucet."""

    claim_id: str
    credited_usd: Decimal


class Exchange(Protocol):
    """The Purple Flea services, seen from one agent."""

    async def closes(self, market: str, *, interval: str, limit: int) -> Sequence[Decimal]:
        """Closing prices of the last candles, oldest first; the last is the current price."""

    async def place_order(self, request: OrderRequest) -> Order:
        """Send an order."""

    async def find_order(self, idempotency_key: str) -> Order | None:
        """The order of a key, or None where the exchange has none."""

    async def cancel_order(self, order_id: str) -> Order:
        """Take an open limit order back."""

    async def portfolio(self) -> Portfolio:
        """Positions and equity."""

    async def balances(self) -> tuple[Balance, ...]:
        """Balances of the wallet."""

    async def create_escrow(self, request: EscrowRequest) -> Escrow:
        """Open an escrow."""

    async def find_escrow(self, idempotency_key: str) -> Escrow | None:
        """The escrow of a key, or None where the exchange has none."""

    async def escrow(self, escrow_id: str) -> Escrow:
        """The state of an escrow."""

    async def release_escrow(self, escrow_id: str) -> Escrow:
        """Pay an escrow out to the counterparty."""

    async def cancel_escrow(self, escrow_id: str) -> Escrow:
        """Take an escrow back."""

    async def claim_faucet(self) -> Claim:
        """Claim from the faucet; inside its window it is Refused with retry_after_s."""

    async def close(self) -> None:
        """Close connections."""

"""The exchange as the agent needs it, independent of HTTP and of any dialect.

All amounts are Decimal: prices, fees and money in US dollars, sizes in units of the market's base currency (BTC for
BTC-USD). Every method raises exchange.errors.ExchangeError and no other error. The module does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
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
    """An order to send. The exchange fills one idempotency key at most once, so the key identifies the order."""

    idempotency_key: str
    """Unique text, such as a UUID. Use a key again only for the same order."""
    market: str
    """Market such as BTC-USD."""
    side: Side
    size: Decimal
    """Size in base units, larger than 0."""
    type: OrderType = "market"
    price: Decimal | None = None
    """Limit price in US dollars; only for a limit order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order at the exchange."""

    order_id: str
    """Id of the exchange."""
    idempotency_key: str
    market: str
    side: Side
    size: Decimal
    """Ordered size in base units."""
    type: OrderType
    status: OrderStatus
    price: Decimal | None = None
    """Average price of the fills in US dollars; before a fill the limit price, or None for a market order."""
    filled_size: Decimal = Decimal(0)
    """Filled size in base units, 0 to `size`."""
    fee_usd: Decimal = Decimal(0)
    """Fee of all fills in US dollars."""
    realized_pnl_usd: Decimal = Decimal(0)
    """Profit of the closed part of a position in US dollars, before fees."""
    reject_reason: str | None = None
    """Reason of the exchange, only if it rejected the order."""
    status_code: int | None = field(default=None, compare=False)
    """HTTP status, if this is the answer to the order itself and not to a look-up."""
    extra: Mapping[str, object] = field(default_factory=dict, compare=False)
    """Further fields of the exchange's answer, for the caller of the agent's API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position as the exchange reports it."""

    market: str
    size: Decimal
    """Size in base units; negative for a short position."""
    mark_price: Decimal
    """Present price in US dollars."""
    notional_usd: Decimal
    """Value of the position in US dollars, not negative."""
    unrealized_pnl_usd: Decimal
    """Profit of the open position in US dollars."""
    realized_pnl_usd: Decimal
    """Profit of all closed parts in this market in US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """All positions and the equity of the account."""

    positions: tuple[Position, ...]
    equity_usd: Decimal
    """Value of the account in US dollars: money and unrealized profit."""
    equity_is_known: bool = True
    """False if the equity could not be read; then `equity_usd` has no meaning."""
    unvalued: Mapping[str, Decimal] = field(default_factory=dict)
    """Signed sizes of the positions whose value could not be read, by market."""
    unreadable: frozenset[str] = frozenset()
    """Markets with a position whose size could not be read. The size is unknown, not zero."""
    has_nameless_rows: bool = False
    """True if a position was reported and even its market could not be read."""

    def size_of(self, market: str) -> Decimal:
        """Return the signed size of the position in `market`; zero if there is none."""
        sizes = (item.size for item in self.positions if item.market == market)
        return sum(sizes, self.unvalued.get(market, Decimal(0)))

    @property
    def reported_markets(self) -> frozenset[str]:
        """Markets whose size was reported."""
        return frozenset({item.market for item in self.positions} | self.unvalued.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Balance of the wallet in one currency."""

    currency: str
    """Currency such as USDC."""
    amount: Decimal
    """Amount in units of the currency."""
    usd_value: Decimal
    """Value in US dollars."""
    is_known: bool = True
    """False if the value could not be read; then `usd_value` is not the balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowRequest:
    """An escrow to open. The exchange opens at most one per idempotency key."""

    idempotency_key: str
    counterparty_id: str
    """Id of the agent or person who is paid."""
    amount_usd: Decimal
    """Amount in US dollars, larger than 0."""
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """An escrow at the exchange."""

    escrow_id: str
    status: str
    counterparty_id: str
    amount_usd: Decimal
    extra: Mapping[str, object] = field(default_factory=dict, compare=False)
    """Further fields of the exchange's answer, for the caller of the agent's API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A payment of the faucet."""

    claim_id: str
    credited_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """The newest candles of a market; only their closing prices are used."""

    closes: tuple[Decimal, ...]
    """Closing prices, oldest first. The last is the current price."""
    newest_at: datetime | None = None
    """Start of the newest candle, with a time zone; None if the exchange does not report it."""


class Exchange(Protocol):
    """The Purple Flea services, seen from one agent. An adapter for another exchange implements all methods.

    An adapter bounds the time and the size of each answer, and does not repeat a request that moves money. It raises
    NeverSent only if nothing left the process, Refused only if the exchange itself refused the request in its own form,
    and OutcomeUnknown in every other case: the order manager concludes from the class that an order may be sent again.
    """

    async def candles(self, market: str, *, interval: str, limit: int) -> Candles:
        """Return at most `limit` of the newest candles of a market; `interval` is a duration such as 15s."""

    async def place_order(self, request: OrderRequest) -> Order:
        """Send an order. For a key that was used before, return the order of that key and send nothing.

        Raises:
            NeverSent: Nothing was sent.
            Refused: The exchange refused the order, which had no effect.
            OutcomeUnknown: The order may have been executed.
        """

    async def find_order(self, idempotency_key: str) -> Order | None:
        """Return the order of a key, or None if the exchange states that it has none."""

    async def cancel_order(self, order_id: str) -> Order:
        """Cancel an open limit order, and return its state afterwards; its filled part stays.

        Raises:
            Refused: 404 if there is no such order, 409 if it is not open any more.
        """

    async def portfolio(self) -> Portfolio:
        """Return positions and equity. A row that cannot be read is reported as unknown and is never left out."""

    async def balances(self) -> tuple[Balance, ...]:
        """Return the balances of the wallet, one per currency."""

    async def create_escrow(self, request: EscrowRequest) -> Escrow:
        """Open an escrow."""

    async def find_escrow(self, idempotency_key: str) -> Escrow | None:
        """Return the escrow of a key, or None if the exchange has none."""

    async def escrow(self, escrow_id: str) -> Escrow:
        """Return the state of an escrow."""

    async def release_escrow(self, escrow_id: str) -> Escrow:
        """Pay an escrow out to the counterparty."""

    async def cancel_escrow(self, escrow_id: str) -> Escrow:
        """Cancel an escrow; its amount returns to the wallet."""

    async def claim_faucet(self) -> Claim:
        """Claim from the faucet. Within its window the claim is Refused with retry_after_s."""

    async def close(self) -> None:
        """Close connections."""

"""Payloads of the Seed dialect in HTTP answers, and their conversion to the types of the port. Pure.

Unknown fields are ignored, because services may add fields. Decimal strings become Decimal without rounding.
"""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from purpleflea_agent.exchange.port import (
    Balance,
    Claim,
    Escrow,
    Order,
    OrderStatus,
    OrderType,
    Portfolio,
    Position,
    Side,
)

Number = Annotated[Decimal, Field(allow_inf_nan=False)]
Zero = Decimal(0)
PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE = re.compile("urn:purpleflea:[a-z-]+:problem:(?P<code>[a-z0-9_]+)")
"""Form of the `type` of a problem: the service, then the machine-readable code."""


class Payload(BaseModel):
    """Base class of all payloads."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ProblemPayload(Payload):
    """RFC 9457 problem details of the Seed dialect: `type` ends in `code`, `status` repeats the HTTP status."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def venue_problem(status: int, content_type: str, content: bytes) -> ProblemPayload | None:
    """Return the problem document of the exchange itself, or None if anything else sent the answer.

    A gateway, a proxy or a firewall may answer in place of the exchange after the request took effect, so its status
    proves nothing. Only a complete document in the form of the exchange proves that the exchange refused the request.
    """
    if content_type.partition(";")[0].strip().lower() != PROBLEM_JSON:
        return None
    try:
        problem = ProblemPayload.model_validate_json(content)
    except ValidationError:
        return None
    kind = PROBLEM_TYPE.fullmatch(problem.type)
    is_own = kind is not None and kind["code"] == problem.code and problem.status == status
    return problem if is_own else None


class CandlePayload(Payload):
    """One candle; only its close is used."""

    close: Number


class Candles(Payload):
    """Candles of a market, oldest first."""

    candles: list[CandlePayload]


class OrderPayload(Payload):
    """An order."""

    order_id: str
    idempotency_key: str
    market: str
    side: Side
    size: Number
    type: OrderType
    status: OrderStatus
    price: Number | None = None
    filled_size: Number = Zero
    fee_usd: Number = Zero
    realized_pnl_usd: Number = Zero
    reject_reason: str | None = None

    def order(self) -> Order:
        """Convert to the type of the port."""
        return Order(**dict(self))


class Orders(Payload):
    """A list of orders."""

    orders: list[OrderPayload]


class PositionPayload(Payload):
    """A position."""

    market: str
    size: Number
    mark_price: Number
    notional_usd: Number
    unrealized_pnl_usd: Number
    realized_pnl_usd: Number

    def position(self) -> Position:
        """Convert to the type of the port."""
        return Position(**dict(self))


class Positions(Payload):
    """All positions."""

    positions: list[PositionPayload]
    equity_usd: Number

    def portfolio(self) -> Portfolio:
        """Convert to the type of the port."""
        return Portfolio(
            positions=tuple(item.position() for item in self.positions), equity_usd=self.equity_usd
        )


class BalancePayload(Payload):
    """Balance of one currency."""

    amount: Number
    usd_value: Number


class Balances(Payload):
    """Balances by currency."""

    balances: dict[str, BalancePayload]

    def all(self) -> tuple[Balance, ...]:
        """Convert to the type of the port."""
        return tuple(
            Balance(currency=currency, amount=body.amount, usd_value=body.usd_value)
            for currency, body in self.balances.items()
        )


class EscrowPayload(Payload):
    """An escrow."""

    escrow_id: str
    status: str
    counterparty_id: str
    amount_usd: Number
    idempotency_key: str | None = None

    def escrow(self) -> Escrow:
        """Convert to the type of the port."""
        return Escrow(
            escrow_id=self.escrow_id,
            status=self.status,
            counterparty_id=self.counterparty_id,
            amount_usd=self.amount_usd,
        )


class Escrows(Payload):
    """A list of escrows."""

    escrows: list[EscrowPayload]


class ClaimPayload(Payload):
    """A payment of the faucet."""

    claim_id: str
    credited_usd: Number

    def claim(self) -> Claim:
        """Convert to the type of the port."""
        return Claim(**dict(self))

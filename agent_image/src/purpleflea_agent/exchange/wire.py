"""Bodies of the Seed dialect, as they stand in HTTP answers, and what they mean in the port's words.

Unknown fields are ignored: services may add some. Numbers arrive as decimal strings and become Decimal exactly.
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


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Problem(Body):
    """RFC 9457 problem details of the Seed dialect: `type` ends in `code`, `status` repeats the HTTP status."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def venue_problem(status: int, content_type: str, content: bytes) -> Problem | None:
    """Return the problem document of the exchange itself, or None if anything else sent the answer.

    A gateway, a proxy or a firewall may answer in place of the exchange after the request took effect, so its status
    proves nothing. Only a complete document in the form of the exchange proves that the exchange refused the request.
    """
    if content_type.partition(";")[0].strip().lower() != PROBLEM_JSON:
        return None
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        return None
    kind = PROBLEM_TYPE.fullmatch(problem.type)
    is_own = kind is not None and kind["code"] == problem.code and problem.status == status
    return problem if is_own else None


class CandleBody(Body):
    """One candle; only its close is of interest."""

    close: Number


class Candles(Body):
    """Candles of a market, oldest first."""

    candles: list[CandleBody]


class OrderBody(Body):
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
        """In the port's words."""
        return Order(**dict(self))


class Orders(Body):
    """A list of orders."""

    orders: list[OrderBody]


class PositionBody(Body):
    """A position."""

    market: str
    size: Number
    mark_price: Number
    notional_usd: Number
    unrealized_pnl_usd: Number
    realized_pnl_usd: Number

    def position(self) -> Position:
        """In the port's words."""
        return Position(**dict(self))


class Positions(Body):
    """All positions."""

    positions: list[PositionBody]
    equity_usd: Number

    def portfolio(self) -> Portfolio:
        """In the port's words."""
        return Portfolio(
            positions=tuple(item.position() for item in self.positions), equity_usd=self.equity_usd
        )


class BalanceBody(Body):
    """Balance of one currency."""

    amount: Number
    usd_value: Number


class Balances(Body):
    """Balances by currency."""

    balances: dict[str, BalanceBody]

    def all(self) -> tuple[Balance, ...]:
        """In the port's words."""
        return tuple(
            Balance(currency=currency, amount=body.amount, usd_value=body.usd_value)
            for currency, body in self.balances.items()
        )


class EscrowBody(Body):
    """An escrow."""

    escrow_id: str
    status: str
    counterparty_id: str
    amount_usd: Number
    idempotency_key: str | None = None

    def escrow(self) -> Escrow:
        """In the port's words."""
        return Escrow(
            escrow_id=self.escrow_id,
            status=self.status,
            counterparty_id=self.counterparty_id,
            amount_usd=self.amount_usd,
        )


class Escrows(Body):
    """A list of escrows."""

    escrows: list[EscrowBody]


class ClaimBody(Body):
    """A payment of the faucet."""

    claim_id: str
    credited_usd: Number

    def claim(self) -> Claim:
        """In the port's words."""
        return Claim(**dict(self))

"""Bodies of the agent's own endpoints: bounded, documented, with examples; decimal strings, never floats."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from purpleflea_contract.control import Mode
from purpleflea_contract.settings import Market

Size = Annotated[Decimal, Field(gt=0, le=10**9, max_digits=18, decimal_places=8)]
Usd = Annotated[Decimal, Field(gt=0, le=10**7, max_digits=12, decimal_places=2)]
Id = Annotated[str, Field(pattern="^[A-Za-z0-9._:-]+$", max_length=128)]


class Body(BaseModel):
    """Base of all bodies: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TradeBody(Body):
    """An order by hand."""

    market: Market
    """One of the agent's markets, such as BTC-USD."""
    side: Literal["buy", "sell"]
    """Direction."""
    size: Annotated[Size, Field(examples=["0.01"])]
    """Size in units of the base currency, as a decimal string."""
    type: Literal["market", "limit"] = "market"
    """Type of the order."""
    price: Annotated[Size | None, Field(examples=[None])] = None
    """Limit price in US dollars; with type limit, and only then."""

    @model_validator(mode="after")
    def _has_a_price_if_limit(self) -> "TradeBody":
        if (self.type == "limit") != (self.price is not None):
            raise ValueError("price goes with type limit, and only with it")
        return self


class TradeAnswer(Body):
    """What came of an order."""

    order_id: str
    idempotency_key: str
    market: str
    side: str
    size: Decimal
    type: str
    status: str
    price: Decimal | None
    filled_size: Decimal
    fee_usd: Decimal
    realized_pnl_usd: Decimal
    reject_reason: str | None


class EscrowBody(Body):
    """An escrow to open."""

    counterparty_id: Id
    """Who is to be paid."""
    amount_usd: Annotated[Usd, Field(examples=["25.00"])]
    """Amount in US dollars, as a decimal string."""
    description: Annotated[str, Field(max_length=500)] | None = None
    """What it is for."""


class EscrowAnswer(Body):
    """An escrow."""

    escrow_id: str
    status: str
    counterparty_id: str
    amount_usd: Decimal


class ControlAnswer(Body):
    """The trading mode that the agent acts on."""

    mode: Mode
    """Mode last read from control.json; a Halted one sends no order from that moment on."""
    generation: int
    """Generation last read from control.json."""
    since: datetime
    """When the agent saw the mode change."""
    sending: bool
    """Whether an order is on its way at this moment; halted and not sending means at rest."""


class PositionAnswer(Body):
    """A position."""

    market: str
    size: Decimal
    mark_price: Decimal
    notional_usd: Decimal
    unrealized_pnl_usd: Decimal
    realized_pnl_usd: Decimal


class StatusAnswer(Body):
    """The agent at a glance."""

    agent_id: str
    strategy: str
    mode: Mode
    markets: tuple[str, ...]
    positions: tuple[PositionAnswer, ...]
    realized_pnl_usd: dict[str, Decimal]
    equity_usd: Decimal
    peak_equity_usd: Decimal
    drawdown_pct: Decimal
    balance_usd: Decimal
    orders: dict[str, int]
    """Orders in the journal by status; `written` ones have an unknown outcome."""
    telemetry_dropped: int
    """Packets and points of telemetry that could not be handed over."""

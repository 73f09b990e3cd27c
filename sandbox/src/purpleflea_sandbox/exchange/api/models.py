"""JSON bodies of the Seed dialect, as shown in the OpenAPI document.

Field descriptions are documentation for agent developers.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from purpleflea_sandbox.exchange.api.decimals import DecimalInput, DecimalOutput
from purpleflea_sandbox.exchange.core.escrows import EscrowStatus
from purpleflea_sandbox.exchange.core.orders import OrderStatus, OrderType, Side

AGENT_ID_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"

Timestamp = Annotated[
    str, Field(description="ISO 8601, UTC, milliseconds.", examples=["2026-01-31T12:00:00.250Z"])
]
MarketName = Annotated[str, Field(max_length=32, examples=["BTC-USD"])]


class RequestBody(BaseModel):
    """A request body; unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResponseBody(BaseModel):
    model_config = ConfigDict(frozen=True)


class OrderBody(RequestBody):
    market: MarketName
    side: Side
    size: DecimalInput = Field(description="Base units, a multiple of the market's size_step.")
    type: OrderType = OrderType.MARKET
    price: DecimalInput | None = Field(
        default=None, description="Limit price, a multiple of tick_size; limit orders only."
    )


class EscrowBody(RequestBody):
    counterparty_id: Annotated[str, Field(pattern=AGENT_ID_PATTERN, examples=["momentum-1"])]
    amount_usd: DecimalInput = Field(description="More than 0, at most 6 decimals.")
    description: Annotated[str, Field(max_length=500)] = ""


class MarketView(ResponseBody):
    market: str
    price: DecimalOutput
    tick_size: DecimalOutput
    size_step: DecimalOutput


class MarketsView(ResponseBody):
    markets: list[MarketView]


class CandleView(ResponseBody):
    time: Timestamp
    open: DecimalOutput
    high: DecimalOutput
    low: DecimalOutput
    close: DecimalOutput
    volume: DecimalOutput


class CandlesView(ResponseBody):
    market: str
    interval: str
    candles: list[CandleView] = Field(description="Oldest first; the last candle is still open.")


class OrderView(ResponseBody):
    order_id: str
    idempotency_key: str
    market: str
    side: Side
    size: DecimalOutput
    type: OrderType
    status: OrderStatus
    price: DecimalOutput | None = Field(description="Average fill price; null until filled.")
    limit_price: DecimalOutput | None = None
    filled_size: DecimalOutput
    fee_usd: DecimalOutput
    realized_pnl_usd: DecimalOutput = Field(description="Before the fee.")
    created_at: Timestamp
    reject_reason: str | None = None


class OrdersView(ResponseBody):
    orders: list[OrderView] = Field(description="Newest first.")


class PositionView(ResponseBody):
    market: str
    size: DecimalOutput = Field(description="Signed: negative for a short position.")
    entry_price: DecimalOutput
    mark_price: DecimalOutput
    notional_usd: DecimalOutput
    unrealized_pnl_usd: DecimalOutput
    realized_pnl_usd: DecimalOutput = Field(description="Total of this market, before fees.")


class PositionsView(ResponseBody):
    positions: list[PositionView]
    equity_usd: DecimalOutput


class AmountView(ResponseBody):
    amount: DecimalOutput
    usd_value: DecimalOutput


class BalanceView(ResponseBody):
    balances: dict[str, AmountView]
    equity_usd: DecimalOutput


class EscrowView(ResponseBody):
    escrow_id: str
    idempotency_key: str
    status: EscrowStatus
    counterparty_id: str
    amount_usd: DecimalOutput
    description: str
    created_at: Timestamp
    updated_at: Timestamp


class EscrowsView(ResponseBody):
    escrows: list[EscrowView]


class ClaimView(ResponseBody):
    claim_id: str
    credited_usd: DecimalOutput


class KeyView(ResponseBody):
    api_key: str = Field(description="Shown once.", examples=["pf_paper_" + "0" * 32])


class FieldProblem(ResponseBody):
    field: str
    message: str


class Problem(ResponseBody):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable, for programs.")
    errors: list[FieldProblem] | None = None

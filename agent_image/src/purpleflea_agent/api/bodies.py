"""Bodies of the agent's HTTP API: bounded, documented, with examples. Answers have decimal strings, never floats."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from purpleflea_contract.control import Mode
from purpleflea_contract.settings import Market

FLOAT_NOISE = Decimal("1e-12")
"""Relative error of a binary float, such as 0.30000000000000004 for 0.3."""


def _without_noise(places: int) -> BeforeValidator:
    """Round a float that differs from a decimal number with that many places only by the error of its binary form."""

    def validate(value: object) -> object:
        if not isinstance(value, float) or not isfinite(value) or abs(value) > 10**12:
            return value
        exact = Decimal(repr(value))
        rounded = round(exact, places)
        is_noise = abs(rounded - exact) <= abs(exact) * FLOAT_NOISE
        return Decimal(f"{rounded.normalize():f}") if is_noise else exact

    return BeforeValidator(validate)


Size = Annotated[Decimal, _without_noise(8), Field(gt=0, le=10**9, max_digits=18, decimal_places=8)]
Usd = Annotated[Decimal, _without_noise(2), Field(gt=0, le=10**7, max_digits=12, decimal_places=2)]
Id = Annotated[str, Field(pattern="^[A-Za-z0-9._:-]+$", max_length=128)]


ORDER = {"market": "BTC-USD", "side": "buy", "size": "0.01", "type": "market"}
POSITION = {
    "market": "BTC-USD",
    "size": "0.01",
    "mark_price": "60000.00",
    "notional_usd": "600.00",
    "unrealized_pnl_usd": "12.50",
    "realized_pnl_usd": "-3.25",
}


def example(*examples: dict[str, Any]) -> ConfigDict:
    """Return the examples of a body, for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def open_example(item: dict[str, Any]) -> ConfigDict:
    """Return the example of a body with fields that are not known here."""
    return ConfigDict(extra="allow", **example(item))


class Body(BaseModel):
    """Base class of all bodies; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TradeBody(Body):
    """An order to send."""

    model_config = example(ORDER, {**ORDER, "type": "limit", "price": "59000.00"})

    market: Market = "BTC-USD"
    """One of the agent's markets (default BTC-USD)."""
    side: Literal["buy", "sell"] = "buy"
    """Direction (default buy)."""
    size: Size = Decimal("0.01")
    """Size in units of the base currency, as a decimal string or a number (default 0.01)."""
    type: Literal["market", "limit"] = "market"
    """Type of the order."""
    price: Size | None = None
    """Limit price in US dollars; required with type limit, and only allowed with it."""

    @model_validator(mode="after")
    def _has_a_price_if_limit(self) -> "TradeBody":
        if (self.type == "limit") != (self.price is not None):
            raise ValueError("price is required with type limit, and only allowed with it")
        return self


class UpstreamAnswer(Body):
    """An answer with the further fields of the exchange's own answer."""

    @classmethod
    def of(cls, extra: Mapping[str, object], **known: Any) -> Self:
        """Return the answer; a further field never replaces a field of the class."""
        return cls.model_validate({**extra, **known})


class TradeAnswer(UpstreamAnswer):
    """The state of an order, and the further fields of the exchange's answer."""

    model_config = open_example(
        {
            **ORDER,
            "order_id": "ord_1",
            "idempotency_key": "8f14e45f",
            "status": "filled",
            "price": "60000.00",
            "filled_size": "0.01",
            "fee_usd": "0.60",
            "realized_pnl_usd": "0",
        }
    )

    order_id: str
    idempotency_key: str
    market: str
    side: str
    size: Decimal
    type: str
    status: str
    price: Decimal | None = None
    filled_size: Decimal
    fee_usd: Decimal
    realized_pnl_usd: Decimal
    reject_reason: str | None = None


SENT_ORDER = {
    **ORDER,
    "type": "limit",
    "order_id": "ord_1",
    "idempotency_key": "8f14e45f",
    "limit_price": "59000.00",
    "status": "open",
    "price": None,
    "filled_size": "0",
    "fee_usd": "0",
    "realized_pnl_usd": "0",
    "reason": None,
    "sent_at": "2026-01-31T12:00:00Z",
}


class OrderAnswer(Body):
    """An order that this agent sent."""

    model_config = example(SENT_ORDER)

    order_id: str | None = None
    """Id at the exchange; null if the exchange has not confirmed the order."""
    idempotency_key: str
    market: str
    side: str
    size: Decimal
    type: str
    limit_price: Decimal | None = None
    """Limit price in US dollars, of an order of type limit."""
    status: str
    """open, filled, cancelled, rejected, failed (it had no effect) or unknown (it is looked up)."""
    price: Decimal | None = None
    """Price at which it was filled."""
    filled_size: Decimal
    fee_usd: Decimal
    realized_pnl_usd: Decimal
    reason: str | None = None
    """Reason of the exchange for a rejected order, or of the agent for a failed one."""
    sent_at: datetime
    """Time at which the agent wrote the order to its journal, before it sent it."""


class OrdersAnswer(Body):
    """A list of orders."""

    model_config = example({"orders": [SENT_ORDER]})

    orders: tuple[OrderAnswer, ...]
    """The open orders, newest first, and then the other orders, newest first."""


class EscrowBody(Body):
    """An escrow to open."""

    model_config = example(
        {"counterparty_id": "agent_7", "amount_usd": "25.00", "description": "a report"}
    )

    counterparty_id: Id
    """Agent or account to pay."""
    amount_usd: Usd
    """Amount in US dollars, as a decimal string or a number."""
    description: Annotated[str, Field(max_length=500)] | None = None
    """Purpose of the payment."""


class EscrowAnswer(UpstreamAnswer):
    """An escrow, and the further fields of the exchange's answer."""

    model_config = open_example(
        {
            "escrow_id": "esc_1",
            "idempotency_key": "8f14e45f",
            "status": "created",
            "counterparty_id": "agent_7",
            "amount_usd": "25.00",
        }
    )

    escrow_id: str
    idempotency_key: str | None = None
    """Key of the request that opened the escrow; null in the answer to a release or a cancel."""
    status: str
    counterparty_id: str
    amount_usd: Decimal


class PositionAnswer(Body):
    """A position."""

    model_config = example(POSITION)

    market: str
    size: Decimal
    mark_price: Decimal
    notional_usd: Decimal
    unrealized_pnl_usd: Decimal
    realized_pnl_usd: Decimal


TODAY = {
    "day": "2026-01-31",
    "orders": 4,
    "filled": 3,
    "failed": 1,
    "fees_usd": "0.90",
    "realized_pnl_usd": "-3.25",
}


class TodayAnswer(Body):
    """Counters of the current day; they survive a restart."""

    model_config = example(TODAY)

    day: date
    """The day, in UTC."""
    orders: int
    """Orders written to the journal, with any outcome."""
    filled: int
    """Orders that were filled."""
    failed: int
    """Orders that were refused, rejected or never received."""
    fees_usd: Decimal
    realized_pnl_usd: Decimal
    """Realized profit of the fills, before fees."""


PUBLIC_STATUS = {
    "agent_id": "momentum-0",
    "strategy": "momentum",
    "mode": "Active",
    "account_data": "hidden",
    "markets": ["BTC-USD"],
    "telemetry_dropped": 0,
    "telemetry_dropped_by_signal": {"logs": 0, "metrics": 0, "traces": 0},
    "position_mismatches": [],
    "tag_values_replaced": {},
}


class PublicStatusAnswer(Body):
    """Status of the agent without data of the account, for a request that may not get it."""

    model_config = example(PUBLIC_STATUS)

    agent_id: str
    strategy: str
    mode: Mode
    account_data: Literal["shown", "hidden"]
    """`hidden` if the request has no token, or the agent has no token and the request is not from its pod."""
    markets: tuple[str, ...]
    telemetry_dropped: int
    """Packets, traces and log lines that could not be sent."""
    telemetry_dropped_by_signal: dict[str, int]
    """The same, for each of metrics, traces and logs."""
    position_mismatches: tuple[str, ...]
    """Markets whose reported position differs from the agent's own fills beyond fills in flight; they do not grow."""
    tag_values_replaced: dict[str, tuple[str, ...]]
    """Values of metric tags that were sent as `other`, because the tag has a bound (at most 10 of each tag)."""


STATUS = {
    **PUBLIC_STATUS,
    "account_data": "shown",
    "positions": [POSITION],
    "realized_pnl_usd": {"BTC-USD": "-3.25"},
    "fees_usd": {"BTC-USD": "1.80"},
    "equity_usd": "10000.00",
    "peak_equity_usd": "10050.00",
    "drawdown_pct": "0.4975",
    "balance_usd": "9400.00",
    "orders": {"filled": 3},
    "open_orders": [SENT_ORDER],
    "today": TODAY,
    "escrows": {"released": 1},
}


class StatusAnswer(PublicStatusAnswer):
    """Status of the agent."""

    model_config = example(STATUS)

    positions: tuple[PositionAnswer, ...]
    realized_pnl_usd: dict[str, Decimal]
    """Realized profit by market, before fees."""
    fees_usd: dict[str, Decimal]
    """Fees of all fills by market, since the journal began."""
    equity_usd: Decimal
    peak_equity_usd: Decimal
    drawdown_pct: Decimal
    balance_usd: Decimal
    orders: dict[str, int]
    """Orders in the journal (of the last 31 days) by status; the outcome of `written` orders is unknown."""
    open_orders: tuple[OrderAnswer, ...]
    """Resting orders and orders of unknown outcome, newest first (at most 50)."""
    today: TodayAnswer
    """The counters of the day."""
    escrows: dict[str, int]
    """Escrows in the journal by status; the outcome of `written` escrows is unknown."""


class HealthAnswer(Body):
    """Answer of a probe."""

    model_config = example({"status": "ok"})

    status: Literal["ok", "ready", "halted", "stopped"]

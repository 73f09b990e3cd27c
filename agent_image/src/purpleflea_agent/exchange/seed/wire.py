"""Payloads of the Seed dialect in HTTP answers, and their conversion to the types of the port. Pure.

Unknown fields are ignored, because services may add fields. Decimal strings become Decimal without rounding.
One row of a list that cannot be read makes only that row unknown. It never counts as absent or zero.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from purpleflea_agent.exchange import port
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


def _otherwise(default: Callable[[], object]) -> WrapValidator:
    """Use a default for a value that cannot be read, so that the rest of the answer stays usable."""

    def validate(value: Any, read: ValidatorFunctionWrapHandler) -> object:
        try:
            return read(value)
        except ValidationError:
            return default()

    return WrapValidator(validate)


NONE = _otherwise(lambda: None)
MAX_NUMBER, MIN_NUMBER, MAX_DIGITS = Decimal("1e18"), Decimal("1e-18"), 60
"""Bounds of an amount, a size or a price without its sign. Arithmetic with 1e999999 raises an error, and its text has a
million digits."""


def _bounded(value: Decimal) -> Decimal:
    is_in_range = not value or MIN_NUMBER <= abs(value) <= MAX_NUMBER
    if not is_in_range or len(value.as_tuple().digits) > MAX_DIGITS:
        raise ValueError("the number is out of range")
    return value


AnyNumber = Annotated[Decimal, Field(allow_inf_nan=False)]
Number = Annotated[AnyNumber, AfterValidator(_bounded)]
KnownNumber = Annotated[Number | None, NONE]
"""A number, or None if it cannot be read."""
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
    """One candle; only its close is used, and the time of its start."""

    close: AnyNumber
    """The market data checks its bounds, so that it refuses the market with its reason."""
    time: Annotated[datetime | None, NONE] = None


class Candles(Payload):
    """Candles of a market, oldest first."""

    candles: list[CandlePayload]

    def all(self) -> port.Candles:
        """Convert to the type of the port. A time without a zone is UTC."""
        newest = self.candles[-1].time if self.candles else None
        if newest is not None and newest.tzinfo is None:
            newest = newest.replace(tzinfo=UTC)
        return port.Candles(closes=tuple(item.close for item in self.candles), newest_at=newest)


class OpenPayload(Payload):
    """Base class of payloads whose further fields are passed on to the caller of the agent's API."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def known(self) -> dict[str, Any]:
        """Return the fields of the class."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class OrderPayload(OpenPayload):
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
        return Order(**self.known(), extra=self.model_extra or {})

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        """Refuse an order of which a part is missing or contradicts another, because its fill would be lost."""
        if not 0 <= self.filled_size <= self.size or not self.size:
            raise ValueError("filled_size is not between 0 and size")
        is_full = self.filled_size == self.size
        if is_full is not (self.status is OrderStatus.FILLED):
            raise ValueError("filled_size does not fit the status")
        if self.status is OrderStatus.REJECTED and self.filled_size:
            raise ValueError("a rejected order has a fill")
        if self.filled_size and not (self.price and self.price > 0 and self._has_amounts):
            raise ValueError("a fill has no price, fee or profit")
        return self

    @property
    def _has_amounts(self) -> bool:
        return {"fee_usd", "realized_pnl_usd"} <= self.model_fields_set


class Orders(Payload):
    """A list of orders; None is a row that cannot be read."""

    orders: list[Annotated[OrderPayload | None, NONE]]


class PositionPayload(Payload):
    """A position; None is a field that cannot be read."""

    market: Annotated[Annotated[str, Field(min_length=1, max_length=64)] | None, NONE] = None
    size: KnownNumber = None
    mark_price: KnownNumber = None
    notional_usd: KnownNumber = None
    unrealized_pnl_usd: KnownNumber = None
    realized_pnl_usd: KnownNumber = None

    def position(self) -> Position | None:
        """Convert to the type of the port; None if a field cannot be read."""
        values = dict(self)
        return None if None in values.values() else Position(**values)


class Positions(Payload):
    """All positions."""

    positions: list[Annotated[PositionPayload, _otherwise(PositionPayload)]]
    equity_usd: KnownNumber = None

    def portfolio(self) -> Portfolio:
        """Convert to the type of the port."""
        rows = _without_repetition(self.positions)
        read = [item.position() for item in rows]
        odd = [row for row, item in zip(rows, read, strict=True) if item is None]
        unreadable = frozenset(row.market for row in odd if row.market and row.size is None)
        return Portfolio(
            positions=tuple(item for item in read if item is not None),
            equity_usd=Zero if self.equity_usd is None else self.equity_usd,
            equity_is_known=self.equity_usd is not None,
            unvalued={row.market: row.size for row in odd if row.market and row.size is not None},
            unreadable=unreadable,
            has_nameless_rows=any(row.market is None for row in odd),
        )


def _without_repetition(rows: Sequence[PositionPayload]) -> list[PositionPayload]:
    """Return one row per market. If its rows have different sizes, the size is unknown, and not their sum."""
    by_market: dict[str, PositionPayload] = {}
    nameless = [row for row in rows if row.market is None]
    for row in rows:
        if row.market is not None and (known := by_market.setdefault(row.market, row)) != row:
            size = row.size if row.size == known.size else None
            by_market[row.market] = PositionPayload(market=row.market, size=size)
    return [*by_market.values(), *nameless]


class BalancePayload(Payload):
    """Balance of one currency; None is a field that cannot be read."""

    amount: KnownNumber = None
    usd_value: KnownNumber = None


class Balances(Payload):
    """Balances by currency."""

    balances: dict[str, Annotated[BalancePayload, _otherwise(BalancePayload)]]

    def all(self) -> tuple[Balance, ...]:
        """Convert to the type of the port."""
        return tuple(
            Balance(
                currency=currency,
                amount=body.amount or Zero,
                usd_value=body.usd_value or Zero,
                is_known=body.usd_value is not None,
            )
            for currency, body in self.balances.items()
        )


class EscrowPayload(OpenPayload):
    """An escrow."""

    escrow_id: str
    status: Literal["created", "released", "cancelled"]
    counterparty_id: str
    amount_usd: Annotated[Number, Field(gt=0)]
    idempotency_key: str | None = None

    def escrow(self) -> Escrow:
        """Convert to the type of the port."""
        return Escrow(
            escrow_id=self.escrow_id,
            status=self.status,
            counterparty_id=self.counterparty_id,
            amount_usd=self.amount_usd,
            extra=self.model_extra or {},
        )


class Escrows(Payload):
    """A list of escrows; None is a row that cannot be read."""

    escrows: list[Annotated[EscrowPayload | None, NONE]]


class ClaimPayload(Payload):
    """A payment of the faucet."""

    claim_id: str
    credited_usd: Number

    def claim(self) -> Claim:
        """Convert to the type of the port."""
        return Claim(**dict(self))

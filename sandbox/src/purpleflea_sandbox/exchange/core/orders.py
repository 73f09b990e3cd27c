"""Orders as values: the request and the outcome.

This module does not depend on prices or accounts; matching.py and margin.py decide whether an order
fills.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from purpleflea_sandbox.exchange.core.markets import Market
from purpleflea_sandbox.exchange.errors import InvalidError


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class OrderStatus(StrEnum):
    FILLED = "filled"
    OPEN = "open"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class RejectReason(StrEnum):
    INSUFFICIENT_MARGIN = "insufficient_margin"
    TOO_MANY_OPEN_ORDERS = "too_many_open_orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A request for an order."""

    idempotency_key: str
    market: Market
    side: Side
    size: Decimal
    type: OrderType
    price: Decimal | None = None

    @property
    def fingerprint(self) -> str:
        """Hash that is equal for equal intents: 0.10 and 0.1 are the same size."""
        price = None if self.price is None else self.price.normalize()
        parts = (self.market.name, self.side, self.size.normalize(), self.type, price)
        return sha256(repr(tuple(map(str, parts))).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class FillPlan:
    """Course of the fills of an order once the price has reached it. By default it fills at once and
    in full; faults use other plans.
    """

    slices: int = 1
    """Number of fills that are left."""
    pause_ms: int | None = None
    """Time between two fills; if it is None, the rest is cancelled after the first fill."""
    due_ms: int | None = None
    """Time before which the next fill does not happen."""

    def after_fill(self, now_ms: int) -> "FillPlan":
        return replace(self, slices=self.slices - 1, due_ms=now_ms + (self.pause_ms or 0))


AT_ONCE = FillPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order and its outcome; money fields are zero until it fills."""

    order_id: str
    account_id: int
    request: NewOrder
    status: OrderStatus
    created_ms: int
    updated_ms: int
    fill_price: Decimal | None = None
    fee_usd: Decimal = Decimal(0)
    realized_pnl_usd: Decimal = Decimal(0)
    filled_size: Decimal = Decimal(0)
    reject_reason: str | None = None
    plan: FillPlan = AT_ONCE

    @property
    def next_size(self) -> Decimal:
        """Size of the next fill, on the grid of the market."""
        market, remaining = self.request.market, self.request.size - self.filled_size
        if self.plan.slices <= 1:
            return remaining
        steps = remaining / self.plan.slices // market.size_step
        return (steps * market.size_step).normalize() or remaining


def require_tradable(order: NewOrder) -> None:
    """Raise InvalidError, with the field and the valid increment, if the order is not valid in its
    market.
    """
    market = order.market
    if not 0 < order.size <= market.max_size or not market.sizes_on_grid(order.size):
        raise InvalidError(
            "invalid_size",
            f"size must be a multiple of {market.size_step} between {market.size_step} and {market.max_size}",
        )
    if order.type is OrderType.MARKET and order.price is not None:
        raise InvalidError("unexpected_price", "price is only valid for limit orders; omit it")
    if order.type is OrderType.LIMIT and order.price is None:
        raise InvalidError("missing_price", "price is required for a limit order")
    if order.price is not None and not (order.price > 0 and market.prices_on_grid(order.price)):
        raise InvalidError(
            "invalid_price", f"price must be a positive multiple of {market.tick_size}"
        )

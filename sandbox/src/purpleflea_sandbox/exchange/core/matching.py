"""Decides whether an order fills now, at which price and with which fee.

A market order fills immediately at a price slightly worse than the mark. A limit order fills when
the price has reached its limit; until then it is open. margin.py decides whether the account can
afford the fill.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_UP, Decimal

from purpleflea_sandbox.exchange.core.markets import Market
from purpleflea_sandbox.exchange.core.orders import NewOrder, OrderType, Side

TAKER_FEE = Decimal("0.0005")
MAKER_FEE = Decimal("0.0002")
HALF_SPREAD = Decimal("0.0001")
DEPTH_USD = Decimal(50_000_000)
"""An order of this notional moves the price by 100 %; an order of 5,000 USD moves it by 0.01 %."""
MAX_SLIPPAGE = Decimal("0.01")

_FEE_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A trade before it is booked: signed size (sells are negative), price and fee."""

    market: Market
    size: Decimal
    price: Decimal
    fee_usd: Decimal


def immediate_fill(order: NewOrder, price: Decimal, size: Decimal | None = None) -> Fill | None:
    """Return the immediate trade of an incoming order, of a part of its size if `size` is given; None
    if the order stays open.
    """
    if order.type is OrderType.LIMIT and not is_crossed(order, price):
        return None
    size = order.size if size is None else size
    traded = taker_price(order.market, order.side, size, price)
    if order.price is not None:
        traded = min(traded, order.price) if order.side is Side.BUY else max(traded, order.price)
    return _fill(order, size, traded, TAKER_FEE)


def resting_fill(order: NewOrder, limit: Decimal, size: Decimal | None = None) -> Fill:
    """Return the trade of an open limit order at its own price, after the price has reached it."""
    return _fill(order, order.size if size is None else size, limit, MAKER_FEE)


def is_crossed(order: NewOrder, price: Decimal) -> bool:
    """Return whether the price has reached the order's limit."""
    if order.price is None:
        return True
    return price <= order.price if order.side is Side.BUY else price >= order.price


def taker_price(market: Market, side: Side, size: Decimal, price: Decimal) -> Decimal:
    """Return the price after spread and impact, rounded to the grid in the unfavorable direction."""
    slippage = min(HALF_SPREAD + size * price / DEPTH_USD, MAX_SLIPPAGE)
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_DOWN
    ticks = (price * (1 + side.sign * slippage) / market.tick_size).to_integral_value(rounding)
    return max(ticks, Decimal(1)) * market.tick_size


def _fill(order: NewOrder, size: Decimal, price: Decimal, fee_rate: Decimal) -> Fill:
    fee = (size * price * fee_rate).quantize(_FEE_STEP, ROUND_UP)
    return Fill(market=order.market, size=size * order.side.sign, price=price, fee_usd=fee)

"""Markets, candles, orders and positions."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from purpleflea_sandbox.exchange.api import views
from purpleflea_sandbox.exchange.api.decimals import text
from purpleflea_sandbox.exchange.api.dependencies import (
    Caller,
    CurrentVenue,
    IdempotencyKey,
    Owner,
    Plan,
)
from purpleflea_sandbox.exchange.api.models import (
    CandlesView,
    MarketsView,
    MarketView,
    OrderBody,
    OrdersView,
    OrderView,
    PositionsView,
)
from purpleflea_sandbox.exchange.api.problems import documented
from purpleflea_sandbox.exchange.core import prices
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.orders import NewOrder, OrderStatus
from purpleflea_sandbox.exchange.errors import InvalidError
from purpleflea_sandbox.exchange.storage import orders
from purpleflea_sandbox.exchange.venue import trading
from purpleflea_sandbox.exchange.venue.context import market_named

INTERVAL_PATTERN = "^[1-9][0-9]{0,4}(s|m|h)$"
MAX_INTERVAL_MS = 86_400_000

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}

router = APIRouter(prefix="/v1", tags=["trading"], responses=documented(401, 422, 429))

OrderId = Annotated[str, Path(max_length=64)]


@router.get("/markets")
async def markets(venue: CurrentVenue, _: Owner) -> MarketsView:
    """List every market with its current price."""
    return MarketsView(
        markets=[
            MarketView(
                market=market.name,
                price=text(venue.price(market)),
                tick_size=text(market.tick_size),
                size_step=text(market.size_step),
            )
            for market in MARKETS.values()
        ]
    )


@router.get("/markets/{market}/candles", responses=documented(404))
async def candles(
    market: str,
    venue: CurrentVenue,
    _: Owner,
    interval: Annotated[str, Query(pattern=INTERVAL_PATTERN)] = "15s",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> CandlesView:
    """List the newest candles, oldest first; the last candle is still open."""
    newest = prices.candles(
        venue.terms.seed,
        market_named(market),
        interval_ms=_interval_ms(interval),
        limit=limit,
        now_ms=venue.clock(),
    )
    price = venue.price(market_named(market))
    if newest[-1].close != price:  # a price gap
        newest = (*newest[:-1], prices.with_close(newest[-1], price))
    return CandlesView(
        market=market, interval=interval, candles=[views.candle_view(candle) for candle in newest]
    )


@router.post(
    "/orders",
    status_code=201,
    responses={
        **documented(404, 409),
        200: {
            "model": OrderView,
            "description": "The idempotency key was already used: the existing order",
        },
    },
)
async def place_order(  # noqa: PLR0913 - its dependencies
    body: OrderBody,
    idempotency_key: IdempotencyKey,
    venue: CurrentVenue,
    caller: Caller,
    plan: Plan,
    response: Response,
) -> OrderView:
    """Place an order.

    A request with the same key and body returns the existing order and never fills twice.
    """
    request = NewOrder(
        idempotency_key=idempotency_key,
        market=market_named(body.market),
        side=body.side,
        size=body.size,
        type=body.type,
        price=body.price,
    )
    order, is_new = trading.place(venue, caller.account_id, request, plan)
    response.status_code = 201 if is_new else 200
    return views.order_view(order)


@router.get("/orders")
async def list_orders(
    venue: CurrentVenue,
    caller: Caller,
    idempotency_key: Annotated[str | None, Query(max_length=128)] = None,
    status: OrderStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> OrdersView:
    """Return the order of an idempotency key (none or one), or the newest orders."""
    if idempotency_key is None:
        matching = orders.newest(venue.database, caller.account_id, status=status, limit=limit)
    else:
        known = orders.find_by_idempotency_key(venue.database, caller.account_id, idempotency_key)
        matching = [known] if known is not None and status in (None, known.status) else []
    return views.orders_view(matching)


@router.get("/orders/{order_id}", responses=documented(404))
async def get_order(order_id: OrderId, venue: CurrentVenue, caller: Caller) -> OrderView:
    return views.order_view(trading.get(venue, caller.account_id, order_id))


@router.delete("/orders/{order_id}", responses=documented(404, 409))
async def cancel_order(order_id: OrderId, venue: CurrentVenue, caller: Caller) -> OrderView:
    """Cancel an open limit order."""
    return views.order_view(trading.cancel(venue, caller.account_id, order_id))


@router.get("/positions")
async def positions(venue: CurrentVenue, caller: Caller) -> PositionsView:
    return views.positions_view(venue.holdings(caller))


def _interval_ms(interval: str) -> int:
    milliseconds = int(interval[:-1]) * _UNITS_MS[interval[-1]]
    if milliseconds > MAX_INTERVAL_MS:
        raise InvalidError("invalid_interval", "interval: at most 24h")
    return milliseconds

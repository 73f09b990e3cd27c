"""Trading: placing, cancelling and settling orders.

One idempotency key belongs to one order permanently, whatever its outcome. A request with the same
body returns this order; a request with another body is a conflict.
"""

import logging
from dataclasses import replace
from decimal import Decimal

from purpleflea_sandbox.exchange.core import margin, matching
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.matching import Fill
from purpleflea_sandbox.exchange.core.orders import (
    AT_ONCE,
    FillPlan,
    NewOrder,
    Order,
    OrderStatus,
    RejectReason,
    require_tradable,
)
from purpleflea_sandbox.exchange.errors import ConflictError, NotFoundError
from purpleflea_sandbox.exchange.storage import accounts, orders
from purpleflea_sandbox.exchange.storage.accounts import EntryKind, LedgerEntry
from purpleflea_sandbox.exchange.venue.context import VenueContext, fresh_id

MAX_OPEN_ORDERS = 1_000

_PRICE_STEP = Decimal("0.00000001")

logger = logging.getLogger(__name__)


def place(
    venue: VenueContext, account_id: int, request: NewOrder, plan: FillPlan = AT_ONCE
) -> tuple[Order, bool]:
    """Place an order; return it and whether it is new (False if the idempotency key already has an
    order).
    """
    known = orders.find_by_idempotency_key(venue.database, account_id, request.idempotency_key)
    if known is not None:
        return _replayed(known, request), False
    require_tradable(request)
    with venue.database.transaction():
        order = _executed(venue, account_id, request, plan)
        orders.add(venue.database, order)
    _log(venue, order)
    return order, True


def cancel(venue: VenueContext, account_id: int, order_id: str) -> Order:
    """Cancel an open order."""
    order = get(venue, account_id, order_id)
    if order.status is not OrderStatus.OPEN:
        raise ConflictError(
            "order_state",
            f"order {order_id} is {order.status}; only an open order can be cancelled",
        )
    cancelled = replace(order, status=OrderStatus.CANCELLED, updated_ms=venue.clock())
    with venue.database.transaction():
        orders.update(venue.database, cancelled)
    _log(venue, cancelled)
    return cancelled


def get(venue: VenueContext, account_id: int, order_id: str) -> Order:
    order = orders.find(venue.database, account_id, order_id)
    if order is None:
        raise NotFoundError("unknown_order", f"no order {order_id} in this account")
    return order


def settle(venue: VenueContext) -> int:
    """Fill every open order that is due at the current price; return the number of processed orders."""
    processed = 0
    for market in MARKETS.values():
        price = venue.price(market)
        for order in orders.due(venue.database, market, price, venue.clock()):
            _settle_one(venue, order, price)
            processed += 1
    return processed


def _replayed(known: Order, request: NewOrder) -> Order:
    if known.request.fingerprint != request.fingerprint:
        raise ConflictError(
            "idempotency_conflict",
            f"Idempotency-Key {request.idempotency_key!r} already belongs to another order ({known.order_id})",
        )
    return known


def _executed(venue: VenueContext, account_id: int, request: NewOrder, plan: FillPlan) -> Order:
    now_ms = venue.clock()
    order = Order(
        order_id=fresh_id("ord"),
        account_id=account_id,
        request=request,
        status=OrderStatus.OPEN,
        created_ms=now_ms,
        updated_ms=now_ms,
        plan=plan,
    )
    price = venue.price(request.market)
    fill = None
    if plan.due_ms is None:
        fill = matching.immediate_fill(request, price, order.next_size)
    if fill is not None:
        return _filled(venue, order, fill)
    if orders.count_open(venue.database, account_id) >= MAX_OPEN_ORDERS:
        return _rejected(order, RejectReason.TOO_MANY_OPEN_ORDERS)
    return order


def _settle_one(venue: VenueContext, order: Order, price: Decimal) -> None:
    limit, size = order.request.price, order.next_size
    if limit is None:
        fill = matching.immediate_fill(order.request, price, size)
    else:
        fill = matching.resting_fill(order.request, limit, size)
    if fill is None:
        raise AssertionError(f"open order {order.order_id} is due and has no fill")
    with venue.database.transaction():
        settled = _filled(venue, replace(order, updated_ms=venue.clock()), fill)
        orders.update(venue.database, settled)
    _log(venue, settled)


def _filled(venue: VenueContext, order: Order, fill: Fill) -> Order:
    """Apply a trade, or reject the order if the account cannot afford it."""
    account = accounts.get(venue.database, order.account_id)
    outcome = margin.settlement(venue.holdings(account), fill)
    if not outcome.is_affordable:
        return _rejected(order, RejectReason.INSUFFICIENT_MARGIN)
    filled_size = order.filled_size + abs(fill.size)
    if filled_size == order.request.size:
        filled_size = order.request.size  # in the notation of the request: 0.01, not 0.010
    filled = replace(
        order,
        status=_status_after(order, filled_size),
        fill_price=_average_price(order, fill),
        fee_usd=order.fee_usd + fill.fee_usd,
        realized_pnl_usd=order.realized_pnl_usd + outcome.realized_pnl_usd,
        filled_size=filled_size,
        plan=order.plan.after_fill(order.updated_ms),
    )
    accounts.put_position(venue.database, account.account_id, outcome.position)
    _post(venue, filled, EntryKind.REALIZED_PNL, outcome.realized_pnl_usd)
    _post(venue, filled, EntryKind.FEE, -fill.fee_usd)
    return filled


def _status_after(order: Order, filled_size: Decimal) -> OrderStatus:
    if filled_size == order.request.size:
        return OrderStatus.FILLED
    return OrderStatus.CANCELLED if order.plan.pause_ms is None else OrderStatus.OPEN


def _average_price(order: Order, fill: Fill) -> Decimal:
    if order.fill_price is None:
        return fill.price
    size = abs(fill.size)
    cost = order.fill_price * order.filled_size + fill.price * size
    return (cost / (order.filled_size + size)).quantize(_PRICE_STEP)


def _post(venue: VenueContext, order: Order, kind: EntryKind, amount: Decimal) -> None:
    if amount:
        entry = LedgerEntry(
            account_id=order.account_id,
            kind=kind,
            amount_usd=amount,
            reference=order.order_id,
            at_ms=order.updated_ms,
        )
        accounts.post(venue.database, entry)


def _rejected(order: Order, reason: RejectReason) -> Order:
    """Reject an order, or cancel the rest of an order that was filled in part."""
    status = OrderStatus.CANCELLED if order.filled_size else OrderStatus.REJECTED
    return replace(order, status=status, reject_reason=reason)


def _log(venue: VenueContext, order: Order) -> None:
    account = accounts.get(venue.database, order.account_id)
    logger.info(
        "order %s",
        order.status,
        extra={
            "agent_id": account.agent_id,
            "order_id": order.order_id,
            "market": order.request.market.name,
            "side": order.request.side,
            "size": str(order.request.size),
            "price": None if order.fill_price is None else str(order.fill_price),
            "reject_reason": order.reject_reason,
        },
    )

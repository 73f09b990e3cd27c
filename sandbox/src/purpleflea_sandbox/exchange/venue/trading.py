"""Trading: placing, cancelling and settling orders.

One idempotency key belongs to one order permanently, whatever its outcome. A request with the same
body returns this order; a request with another body is a conflict.
"""

import logging
from dataclasses import replace

from purpleflea_sandbox.exchange.core import margin, matching
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.matching import Fill
from purpleflea_sandbox.exchange.core.orders import (
    NewOrder,
    Order,
    OrderStatus,
    RejectReason,
    require_tradable,
)
from purpleflea_sandbox.exchange.errors import ConflictError, NotFoundError
from purpleflea_sandbox.exchange.storage import accounts, orders
from purpleflea_sandbox.exchange.storage.accounts import Account, EntryKind, LedgerEntry
from purpleflea_sandbox.exchange.venue.context import VenueContext, fresh_id

MAX_OPEN_ORDERS = 1_000

logger = logging.getLogger(__name__)


def place(venue: VenueContext, account_id: int, request: NewOrder) -> tuple[Order, bool]:
    """Place an order; return it and whether it is new (False if the idempotency key already has an
    order).
    """
    known = orders.find_by_idempotency_key(venue.database, account_id, request.idempotency_key)
    if known is not None:
        return _replayed(known, request), False
    require_tradable(request)
    with venue.database.transaction():
        order = _executed(venue, account_id, request)
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
    """Fill every open order that the price has reached; return the number of processed orders."""
    processed = 0
    for market in MARKETS.values():
        for order in orders.crossed(venue.database, market, venue.price(market)):
            _settle_one(venue, order)
            processed += 1
    return processed


def _replayed(known: Order, request: NewOrder) -> Order:
    if known.request.fingerprint != request.fingerprint:
        raise ConflictError(
            "idempotency_conflict",
            f"Idempotency-Key {request.idempotency_key!r} already belongs to another order ({known.order_id})",
        )
    return known


def _executed(venue: VenueContext, account_id: int, request: NewOrder) -> Order:
    now_ms = venue.clock()
    order = Order(
        order_id=fresh_id("ord"),
        account_id=account_id,
        request=request,
        status=OrderStatus.OPEN,
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    fill = matching.immediate_fill(request, venue.price(request.market))
    if fill is not None:
        return _filled(venue, order, fill)
    if orders.count_open(venue.database, account_id) >= MAX_OPEN_ORDERS:
        return _rejected(order, RejectReason.TOO_MANY_OPEN_ORDERS)
    return order


def _settle_one(venue: VenueContext, order: Order) -> None:
    limit = order.request.price
    if limit is None:
        raise AssertionError(f"resting order {order.order_id} has no limit")
    fill = matching.resting_fill(order.request, limit)
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
    filled = replace(
        order,
        status=OrderStatus.FILLED,
        fill_price=fill.price,
        fee_usd=fill.fee_usd,
        realized_pnl_usd=outcome.realized_pnl_usd,
    )
    accounts.put_position(venue.database, account.account_id, outcome.position)
    _book(venue, account, filled)
    return filled


def _book(venue: VenueContext, account: Account, order: Order) -> None:
    amounts = ((EntryKind.REALIZED_PNL, order.realized_pnl_usd), (EntryKind.FEE, -order.fee_usd))
    for kind, amount in amounts:
        if amount:
            entry = LedgerEntry(
                account_id=account.account_id,
                kind=kind,
                amount_usd=amount,
                reference=order.order_id,
                at_ms=order.updated_ms,
            )
            accounts.post(venue.database, entry)


def _rejected(order: Order, reason: RejectReason) -> Order:
    return replace(order, status=OrderStatus.REJECTED, reject_reason=reason)


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

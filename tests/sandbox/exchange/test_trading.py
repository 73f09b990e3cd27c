from decimal import Decimal

import pytest

from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.orders import OrderStatus, RejectReason
from purpleflea_sandbox.exchange.errors import ConflictError, NotFoundError
from purpleflea_sandbox.exchange.storage import accounts
from purpleflea_sandbox.exchange.venue import funding, trading

BTC = MARKETS["BTC-USD"]


def _price(exchange):
    return exchange.state.venue.price(BTC)


def _cash(exchange):
    return accounts.get(exchange.state.venue.database, exchange.account.account_id).cash_usd


def _reached(exchange, limit, is_buy):
    """Advance the clock until the price has reached the limit."""
    for _ in range(50_000):
        if _price(exchange) <= limit if is_buy else _price(exchange) >= limit:
            return
        exchange.clock.advance(1)
    pytest.fail("the price never reached the limit")


def test_a_market_order_fills_immediately_and_costs_a_fee(exchange):
    order = exchange.order("buy", "0.01")
    assert order.status is OrderStatus.FILLED
    assert order.fill_price > _price(exchange)
    assert _cash(exchange) == 10_000 - order.fee_usd


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_limit_order_fills_at_its_limit_when_the_price_reaches_it(exchange, side):
    away = Decimal("0.998") if side == "buy" else Decimal("1.002")
    limit = (_price(exchange) * away).quantize(Decimal(1))
    order = exchange.order(side, "0.01", price=str(limit))
    assert order.status is OrderStatus.OPEN
    assert trading.settle(exchange.state.venue) == 0
    _reached(exchange, limit, side == "buy")
    assert trading.settle(exchange.state.venue) == 1
    settled = trading.get(exchange.state.venue, exchange.account.account_id, order.order_id)
    assert (settled.status, settled.fill_price) == (OrderStatus.FILLED, limit)
    assert trading.settle(exchange.state.venue) == 0


def test_a_cancelled_order_never_fills(exchange):
    limit = (_price(exchange) * Decimal("0.998")).quantize(Decimal(1))
    order = exchange.order("buy", "0.01", price=str(limit))
    venue, account_id = exchange.state.venue, exchange.account.account_id
    assert trading.cancel(venue, account_id, order.order_id).status is OrderStatus.CANCELLED
    _reached(exchange, limit, is_buy=True)
    assert trading.settle(venue) == 0
    with pytest.raises(ConflictError, match="is cancelled"):
        trading.cancel(venue, account_id, order.order_id)


def test_an_order_beyond_the_leverage_is_rejected_and_changes_nothing(exchange):
    order = exchange.order("buy", "1")
    assert (order.status, order.reject_reason) == (
        OrderStatus.REJECTED,
        RejectReason.INSUFFICIENT_MARGIN,
    )
    assert _cash(exchange) == 10_000
    assert accounts.positions(exchange.state.venue.database, exchange.account.account_id) == {}


def test_a_position_can_be_reduced_but_not_reversed_beyond_the_leverage(exchange):
    exchange.order("buy", "0.8")
    assert exchange.order("sell", "1.7").status is OrderStatus.REJECTED
    assert exchange.order("sell", "0.8").status is OrderStatus.FILLED


def test_the_same_key_is_the_same_order_even_after_a_rejection(exchange):
    first = exchange.order("buy", "1", key="k")
    assert exchange.order("buy", "1.0", key="k") == first
    with pytest.raises(ConflictError) as refused:
        exchange.order("buy", "0.01", key="k")
    assert refused.value.code == "idempotency_conflict"


def test_an_account_has_no_access_to_the_orders_of_another(exchange):
    venue = exchange.state.venue
    other = funding.account(venue, "fleet", "momentum-1")
    order = exchange.order("buy", "0.01", key="k")
    with pytest.raises(NotFoundError):
        trading.get(venue, other.account_id, order.order_id)
    assert exchange.order("buy", "0.01", key="k", account_id=other.account_id) != order


def test_orders_far_from_the_price_are_not_read(exchange):
    for number in range(300):
        exchange.order("buy", "0.001", price=str(1_000 + number))
    assert trading.settle(exchange.state.venue) == 0
    plan = exchange.state.venue.database.rows(
        "EXPLAIN QUERY PLAN SELECT * FROM orders"
        " WHERE status = 'open' AND market = ? AND side = 'buy' AND limit_ticks >= ?",
        ("BTC-USD", 1),
    )
    assert "resting_orders" in plan[0]["detail"]

from decimal import Decimal

import pytest

from purpleflea_sandbox.exchange.core import matching
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.orders import NewOrder, OrderType, Side, require_tradable
from purpleflea_sandbox.exchange.errors import InvalidError

BTC = MARKETS["BTC-USD"]
PRICE = Decimal(60_000)


def an_order(side="buy", size="0.01", price=None, type_=None):
    default_type = OrderType.MARKET if price is None else OrderType.LIMIT
    return NewOrder(
        idempotency_key="k",
        market=BTC,
        side=Side(side),
        size=Decimal(size),
        type=type_ or default_type,
        price=None if price is None else Decimal(price),
    )


FILLS = {
    "a market buy pays spread and impact": (an_order(), "60006.72"),
    "a market sell gets less": (an_order("sell"), "59993.28"),
    "a bigger order moves the price more": (an_order(size="1"), "60078.00"),
    "slippage is bounded": (an_order(size="1000"), "60600.00"),
    "a crossed limit buy never pays more than its limit": (an_order(price="60001"), "60001"),
    "a crossed limit sell never gets less than its limit": (
        an_order("sell", price="59999"),
        "59999",
    ),
    "a limit above the market gets the market's price": (an_order(price="61000"), "60006.72"),
    "a limit buy below the price stays open": (an_order(price="59999.99"), None),
    "a limit sell above the price stays open": (an_order("sell", price="60000.01"), None),
}


@pytest.mark.parametrize(("order", "price"), FILLS.values(), ids=FILLS)
def test_an_order_fills_at_the_expected_price_or_stays_open(order, price):
    fill = matching.immediate_fill(order, PRICE)
    assert (fill and fill.price) == (price and Decimal(price))


def test_a_sell_has_a_negative_size():
    fill = matching.immediate_fill(an_order("sell"), PRICE)
    assert fill is not None
    assert fill.size == Decimal("-0.01")


def test_a_taker_pays_more_than_a_maker_and_fees_round_up():
    taker = matching.immediate_fill(an_order(size="0.00001"), PRICE)
    maker = matching.resting_fill(an_order(size="0.00001", price="60000"), PRICE)
    assert taker is not None
    assert (taker.fee_usd, maker.fee_usd) == (Decimal("0.000301"), Decimal("0.000120"))


BAD_ORDERS = {
    "invalid_size": [an_order(size="0"), an_order(size="0.000001"), an_order(size="1000.1")],
    "invalid_price": [an_order(price="0"), an_order(price="1.001")],
    "missing_price": [an_order(type_=OrderType.LIMIT)],
    "unexpected_price": [an_order(price="1", type_=OrderType.MARKET)],
}


@pytest.mark.parametrize(
    ("code", "order"), [(code, order) for code, orders in BAD_ORDERS.items() for order in orders]
)
def test_an_invalid_order_is_rejected(code, order):
    with pytest.raises(InvalidError) as refused:
        require_tradable(order)
    assert refused.value.code == code


def test_equal_intents_have_equal_fingerprints():
    assert an_order(size="0.10").fingerprint == an_order(size="0.1").fingerprint
    assert an_order(size="0.1").fingerprint != an_order(size="0.2").fingerprint
    assert an_order(price="60000").fingerprint != an_order().fingerprint

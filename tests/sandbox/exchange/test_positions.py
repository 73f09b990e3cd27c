from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_sandbox.exchange.core.positions import Position, after_fill

TRADES = {
    "opening realizes no profit": ([("2", "100")], "2", "200", "0"),
    "adding averages the entry": ([("1", "100"), ("1", "200")], "2", "300", "0"),
    "reducing a long at a profit": ([("2", "100"), ("-1", "150")], "1", "100", "50"),
    "closing a long at a loss": ([("2", "100"), ("-2", "90")], "0", "0", "-20"),
    "a short gains when the price falls": ([("-2", "100"), ("2", "90")], "0", "0", "20"),
    "a long turns into a short": ([("1", "100"), ("-3", "110")], "-2", "-220", "10"),
    "a short turns into a long": ([("-1", "100"), ("3", "110")], "2", "220", "-10"),
}


@pytest.mark.parametrize(("fills", "size", "cost", "realized"), TRADES.values(), ids=TRADES)
def test_trades_are_netted_into_one_position(fills, size, cost, realized):
    position = Position(market="BTC-USD")
    for signed_size, price in fills:
        position, _ = after_fill(position, Decimal(signed_size), Decimal(price))
    assert (position.size, position.cost_usd) == (Decimal(size), Decimal(cost))
    assert position.realized_pnl_usd == Decimal(realized)


def test_a_flat_position_has_no_entry_price_and_no_unrealized_profit():
    flat = Position(market="BTC-USD", realized_pnl_usd=Decimal(5))
    assert flat.entry_price == 0
    assert flat.unrealized_pnl_usd(Decimal(60_000)) == 0


fills = st.lists(
    st.tuples(
        st.decimals("-10", "10", places=5).filter(bool), st.decimals("0.01", "99999", places=2)
    ),
    max_size=30,
)


@given(fills)
def test_profit_is_proceeds_minus_cost_to_the_last_digit(trades):
    position, realized = Position(market="BTC-USD"), Decimal(0)
    for size, price in trades:
        position, gain = after_fill(position, size, price)
        realized += gain
    paid = sum((size * price for size, price in trades), Decimal(0))
    assert position.size == sum((size for size, _ in trades), Decimal(0))
    assert realized == position.realized_pnl_usd == position.cost_usd - paid
    assert position.size or not position.cost_usd

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.prices import candles, price_at

NOW_MS = 1_800_000_000_000
BTC = MARKETS["BTC-USD"]

moments = st.integers(min_value=0, max_value=4 * 10**12)
markets = st.sampled_from(sorted(MARKETS))


def test_the_price_depends_only_on_seed_market_and_time():
    assert price_at(7, BTC, NOW_MS) == price_at(7, BTC, NOW_MS)
    assert [str(price_at(7, market, NOW_MS)) for market in MARKETS.values()] == [
        "59843.97",
        "3058.99",
        "150.665",
    ]


def test_another_seed_has_other_prices():
    assert price_at(7, BTC, NOW_MS) != price_at(8, BTC, NOW_MS)


@given(markets, moments)
def test_every_price_is_on_its_grid_and_within_five_percent_of_the_anchor(name, at_ms):
    market = MARKETS[name]
    price = price_at(7, market, at_ms)
    assert market.prices_on_grid(price)
    assert abs(price / market.anchor_usd - 1) < Decimal("0.05")


@given(markets, moments)
def test_a_price_does_not_jump_within_a_tenth_of_a_second(name, at_ms):
    before, after = (price_at(7, MARKETS[name], at_ms + step) for step in (0, 100))
    assert abs(after / before - 1) < Decimal("0.001")


@pytest.mark.parametrize("interval_s", [1, 5, 15])
@pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)
def test_momentum_over_ten_points_is_often_worth_a_signal(market, interval_s):
    step_ms = interval_s * 1000
    starts = range(NOW_MS, NOW_MS + 500 * step_ms, step_ms)
    changes = [
        abs(price_at(7, market, at + 9 * step_ms) / price_at(7, market, at) - 1) for at in starts
    ]
    assert sum(change > Decimal("0.0005") for change in changes) / len(changes) > 0.4


def test_candles_have_no_gaps_and_the_last_candle_is_open():
    newest = candles(7, BTC, interval_ms=15_000, limit=50, now_ms=NOW_MS + 4_000)
    assert len(newest) == 50
    for earlier, later in pairwise(newest):
        assert later.start_ms == earlier.start_ms + 15_000
        assert later.open == earlier.close
    assert newest[-1].start_ms == NOW_MS
    assert newest[-1].close == price_at(7, BTC, NOW_MS + 4_000)
    assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in newest)
    assert all(c.volume > 0 for c in newest)


def test_a_closed_candle_never_changes_again():
    first = candles(7, BTC, interval_ms=15_000, limit=3, now_ms=NOW_MS + 1_000)
    later = candles(7, BTC, interval_ms=15_000, limit=4, now_ms=NOW_MS + 16_000)
    assert later[:2] == first[:2]

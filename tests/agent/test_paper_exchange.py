"""The paper exchange: exact books, limit orders, margin, and an idempotency key that has one effect."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purpleflea_agent.exchange.errors import Refused
from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest, OrderStatus, Side
from purpleflea_agent.paper.books import Books, Fill, Holding
from purpleflea_agent.paper.candles import Candles
from purpleflea_agent.paper.clock import ReplayClock
from purpleflea_agent.paper.exchange import PaperExchange
from purpleflea_agent.paper.prices import ReplayedPrices

MARKET = "BTC-USD"
SIZES = st.decimals(min_value=-5, max_value=5, places=4).filter(bool)
PRICES = st.decimals(min_value="0.01", max_value=100_000, places=2)


@given(st.lists(st.tuples(SIZES, PRICES), max_size=30), PRICES)
@settings(max_examples=150, deadline=None)
def test_equity_is_the_deposit_plus_all_cash_flows_plus_the_position(
    trades: list[tuple[Decimal, Decimal]], last: Decimal
) -> None:
    books = Books(cash_usd=Decimal(1000), holdings={})
    flows, size = Decimal(1000), Decimal(0)
    for signed, price in trades:
        fee = abs(signed) * price * Decimal("0.0005")
        books = books.after(Fill(market=MARKET, size=signed, price=price, fee_usd=fee))
        flows -= signed * price + fee
        size += signed
    assert books.holdings.get(MARKET, Holding()).size == size
    assert abs(books.equity_usd({MARKET: last}) - (flows + size * last)) < Decimal("1e-15")
    if not size and trades:
        assert abs(books.cash_usd - flows) < Decimal("1e-15")
        assert books.holdings[MARKET].cost_usd == 0


class Venue:
    """An exchange whose price the test sets."""

    def __init__(self, price: str, *, deposit: str = "10000") -> None:
        self.clock = ReplayClock(1.0)
        self.candles = Candles(times=[1.0], closes=[Decimal(price)])
        prices = ReplayedPrices({MARKET: self.candles}, clock=self.clock)
        self.exchange = PaperExchange(prices, deposit_usd=Decimal(deposit), clock=self.clock)

    def move_to(self, price: str) -> None:
        self.clock.now += 1
        self.candles.times.append(self.clock.now)
        self.candles.closes.append(Decimal(price))


def order(key: str, side: Side, size: str, limit: str | None = None) -> OrderRequest:
    return OrderRequest(
        idempotency_key=key,
        market=MARKET,
        side=side,
        size=Decimal(size),
        type="limit" if limit else "market",
        price=Decimal(limit) if limit else None,
    )


async def test_a_round_trip_costs_the_spread_and_two_fees() -> None:
    venue = Venue("10000")
    bought = await venue.exchange.place_order(order("a", "buy", "1"))
    sold = await venue.exchange.place_order(order("b", "sell", "1"))
    assert (bought.price, bought.fee_usd) == (Decimal("10001"), Decimal("5.0005"))
    assert (sold.price, sold.fee_usd) == (Decimal("9999"), Decimal("4.9995"))
    assert sold.realized_pnl_usd == -2
    assert venue.exchange.equity_usd == Decimal(10_000) - 2 - Decimal(10)
    (balance,) = await venue.exchange.balances()
    assert balance.usd_value == Decimal(9988)


async def test_a_key_has_one_effect() -> None:
    venue = Venue("100")
    first = await venue.exchange.place_order(order("a", "buy", "1"))
    again = await venue.exchange.place_order(order("a", "buy", "1"))
    assert first == again == await venue.exchange.find_order("a")
    assert (await venue.exchange.portfolio()).size_of(MARKET) == 1
    assert await venue.exchange.find_order("never sent") is None


async def test_a_limit_order_waits_for_its_price_and_pays_the_lower_fee() -> None:
    venue = Venue("100")
    placed = await venue.exchange.place_order(order("a", "buy", "1", limit="95"))
    assert placed.status is OrderStatus.OPEN
    venue.move_to("96")
    assert (await venue.exchange.portfolio()).size_of(MARKET) == 0
    venue.move_to("94")
    assert (await venue.exchange.portfolio()).size_of(MARKET) == 1
    filled = await venue.exchange.find_order("a")
    assert filled is not None
    assert (filled.status, filled.price, filled.fee_usd) == ("filled", 95, Decimal("0.0190"))
    with pytest.raises(Refused, match="is filled"):
        await venue.exchange.cancel_order(filled.order_id)


@pytest.mark.parametrize(("side", "limit"), [("buy", "120"), ("sell", "80")])
async def test_a_limit_order_whose_price_is_reached_is_filled_at_the_market(
    side: Side, limit: str
) -> None:
    filled = await Venue("100").exchange.place_order(order("a", side, "1", limit))
    assert filled.price == (Decimal("100.01") if side == "buy" else Decimal("99.99"))


async def test_a_canceled_order_is_never_filled() -> None:
    venue = Venue("100")
    placed = await venue.exchange.place_order(order("a", "sell", "1", limit="110"))
    assert (await venue.exchange.cancel_order(placed.order_id)).status is OrderStatus.CANCELLED
    venue.move_to("120")
    assert (await venue.exchange.portfolio()).positions == ()
    with pytest.raises(Refused):
        await venue.exchange.cancel_order("nosuch")


async def test_positions_are_limited_by_the_equity_and_closing_is_not() -> None:
    venue = Venue("100", deposit="100")
    assert (await venue.exchange.place_order(order("a", "buy", "4.9"))).status == "filled"
    refused = await venue.exchange.place_order(order("b", "buy", "1"))
    assert refused.status is OrderStatus.REJECTED
    assert "5 times the equity" in str(refused.reject_reason)
    venue.move_to("85")  # now the positions are worth more than 5 times the equity
    assert (await venue.exchange.place_order(order("c", "sell", "4.9"))).status == "filled"


async def test_a_market_without_a_price_takes_no_order() -> None:
    venue = Venue("100")
    venue.clock.now = 0.0
    with pytest.raises(Refused, match="has no price"):
        await venue.exchange.place_order(order("a", "buy", "1"))


async def test_paper_money_leaves_by_no_other_way() -> None:
    exchange = Venue("100").exchange
    request = EscrowRequest(idempotency_key="a", counterparty_id="b", amount_usd=Decimal(1))
    assert await exchange.find_escrow("a") is None
    for refused in (
        exchange.create_escrow(request),
        exchange.escrow("a"),
        exchange.release_escrow("a"),
        exchange.cancel_escrow("a"),
        exchange.claim_faucet(),
    ):
        with pytest.raises(Refused, match="the paper exchange has no"):
            await refused

"""Orders that only shrink a position: limits of loss never keep an agent in a losing position."""

import functools
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.port import OrderRequest, Side
from purpleflea_agent.trading import risk
from purpleflea_agent.trading.errors import OrderRefused
from purpleflea_contract.settings import Risk
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import PRICE, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    limits: Risk,
) -> AsyncIterator[Parts]:
    async with running_parts(
        folder, emitter, sink, endpoints=exchange.endpoints, limits=limits
    ) as running:
        yield running


async def place(parts: Parts, side: Side, size: str, *, limit: bool = False) -> None:
    request = OrderRequest(
        idempotency_key=f"{side}-{size}-{limit}",
        market="BTC-USD",
        side=side,
        size=Decimal(size),
        type="limit" if limit else "market",
        price=PRICE if limit else None,
    )
    await parts.orders.place(request, reference_price=PRICE)


LOSS = [
    (Risk(max_drawdown_pct=10), "8000", "10000", "max_drawdown"),
    (Risk(min_balance_usd="100"), "10000", "99", "min_balance"),
    (Risk(max_drawdown_pct=10), "-1", "10000", "max_drawdown"),
]


@pytest.mark.parametrize(("limits", "equity", "balance", "reason"), LOSS)
@pytest.mark.parametrize("held", ["buy", "sell"])
async def test_an_order_that_only_reduces_passes_limits_of_loss(
    parts: Parts, exchange: ExchangeDouble, held: Side, equity: str, balance: str, reason: str
) -> None:
    other: Side = "sell" if held == "buy" else "buy"
    await parts.account.refresh()
    await place(parts, held, "0.01")
    exchange.equity_usd, exchange.balance_usd = Decimal(equity), Decimal(balance)
    await parts.account.refresh()
    for side, size in ((held, "0.001"), (other, "0.0101")):  # it grows, or it reverses
        with pytest.raises(OrderRefused, match=reason):
            await place(parts, side, size)
    await place(parts, other, "0.004")
    with pytest.raises(OrderRefused, match=reason):
        await place(parts, other, "0.0061")
    await place(parts, other, "0.006")
    with pytest.raises(OrderRefused, match=reason):
        await place(parts, other, "0.002")  # there is no position any more


@pytest.mark.parametrize("limits", [Risk(max_drawdown_pct=10)])
async def test_resting_orders_count_before_an_order_only_reduces(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    await place(parts, "buy", "0.01")
    exchange.equity_usd = Decimal(8000)
    await parts.account.refresh()
    await place(parts, "sell", "0.007", limit=True)
    with pytest.raises(OrderRefused, match="max_drawdown"):
        await place(parts, "sell", "0.004")
    await place(parts, "sell", "0.003")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Risk(max_order_usd="700"), "max_order"), (Risk(max_orders_per_minute=1), "max_orders_per")],
)
async def test_other_limits_apply_to_orders_that_only_reduce(
    parts: Parts, exchange: ExchangeDouble, reason: str
) -> None:
    await place(parts, "buy", "0.01")
    exchange.orders["buy-0.01-False"] |= {"size": "0.02", "filled_size": "0.02"}
    with pytest.raises(OrderRefused, match=reason):
        await place(parts, "sell", "0.011")


@pytest.mark.parametrize("peak", [0, -1, 10])
def test_a_negative_equity_is_a_drawdown_with_any_peak(peak: int) -> None:
    context = risk.OrderContext(
        market="BTC-USD",
        notional_usd=Decimal(10),
        equity_usd=Decimal(-500),
        peak_equity_usd=Decimal(peak),
        balance_usd=Decimal(0),
        open_markets=frozenset(),
        orders_last_minute=0,
    )
    assert risk.refusal(context, Risk(max_drawdown_pct=100)) == "max_drawdown"


OUTSIDE = [
    pytest.param("DOGE-USD", "buy", "0.01", None, id="a market that the spec never had"),
    pytest.param("ETH-USD", "buy", "0.01", None, id="a position of a removed market would grow"),
    pytest.param("ETH-USD", "sell", "0.0101", None, id="it would be reversed"),
    pytest.param("ETH-USD", "buy", "0.001", PRICE, id="it would grow by a limit order"),
]


@pytest.mark.parametrize(("market", "side", "size", "price"), OUTSIDE)
async def test_an_order_outside_the_markets_of_the_spec_is_not_sent_unless_it_shrinks_a_position(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    market: str,
    side: Side,
    size: str,
    price: Decimal | None,
) -> None:
    start = functools.partial(running_parts, folder, emitter, sink, endpoints=exchange.endpoints)
    async with start(markets=("BTC-USD", "ETH-USD")) as before:
        await before.buy("held", market="ETH-USD")
    sent = len(exchange.orders)
    async with start() as parts:
        request = OrderRequest(
            idempotency_key="outside",
            market=market,
            side=side,
            size=Decimal(size),
            type="market" if price is None else "limit",
            price=price,
        )
        with pytest.raises(OrderRefused, match="unknown_market"):
            await parts.orders.place(request, reference_price=PRICE)
        assert len(exchange.orders) == sent
        await parts.buy("shrinks", market="ETH-USD", side="sell")
        assert len(exchange.orders) == sent + 1

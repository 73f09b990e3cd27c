"""Faulty data of the exchange: a price, a signal or a row that cannot be used limits only what depends on it."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from purpleflea_agent.exchange.errors import OutcomeUnknown
from purpleflea_agent.exchange.port import (
    Candles,
    Order,
    OrderRequest,
    OrderStatus,
    Portfolio,
    Position,
)
from purpleflea_agent.exchange.seed import wire
from purpleflea_agent.trading import market_data
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_agent.trading.exposure import PositionRange
from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_agent.trading.safety_limits import PRICE_MEMORY_S
from purpleflea_contract import metrics
from purpleflea_contract.settings import Risk, Settings
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import PRICE, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

MARKETS = ("AAA-USD", "BTC-USD", "ETH-USD")
RISING = [Decimal(100 + step) for step in range(50)]
ABSURD = ["0", "-0", "-5", "1e-20", "1e30", "NaN", "sNaN", "Infinity", "-Infinity"]
POSITION = {
    "market": "BTC-USD",
    "size": "0.01",
    "mark_price": "64900",
    "notional_usd": "649",
    "unrealized_pnl_usd": "1",
    "realized_pnl_usd": "2",
}
ODD_ROWS = ["null", "5", "[]", "{}", '"x"', '{"market": null, "size": "1"}', '{"market": ""}']
ODD_NUMBERS = [
    *("null", "NaN", "Infinity", '"NaN"', '"x"', "[]", "{}", "true"),
    # Finite, but arithmetic with them fails, and so would the whole round.
    *('"1e999999"', '"-1e999999"', '"1e-999999"', '"1e19"', '"1e-19"', "1e300"),
    '"1.' + "1" * 61 + '"',
]


@pytest.fixture
def limits() -> Risk:
    return Risk()


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    limits: Risk,
) -> AsyncIterator[Parts]:
    async with running_parts(
        folder, emitter, sink, endpoints=exchange.endpoints, markets=MARKETS, limits=limits
    ) as running:
        yield running


def answer_with(exchange: ExchangeDouble, path: str, body: str, *, method: str = "GET") -> None:
    """Replace the answers of a path."""

    def gateway(request: Request, response: Response) -> Response:
        if (request.method, request.url.path) != (method, path):
            return response
        return Response(body, media_type="application/json")

    exchange.gateway = gateway


def positions(*rows: str, equity: str = '"10000"') -> str:
    return f'{{"positions": [{", ".join(rows)}], "equity_usd": {equity}}}'


def row(**fields: str) -> str:
    """Return a row as JSON; the given fields are JSON already."""
    values = {name: f'"{value}"' for name, value in POSITION.items()} | fields
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"


@pytest.mark.parametrize("limits", [Risk(max_order_usd="1")])
@pytest.mark.parametrize("price", ABSURD)
async def test_an_order_at_an_absurd_price_is_refused_whatever_its_limits(
    parts: Parts, exchange: ExchangeDouble, price: str
) -> None:
    for key, limit in (("k1", None), ("k2", Decimal(price))):
        request = OrderRequest(
            idempotency_key=key,
            market="BTC-USD",
            side="sell",
            size=Decimal("0.01"),
            type="limit" if limit is not None else "market",
            price=limit,
        )
        reference = PRICE if limit is not None else Decimal(price)
        with pytest.raises(OrderRefused, match="market_data"):
            await parts.orders.place(request, reference_price=reference)
    assert exchange.orders == {}
    refused = parts.sent(metrics.RISK_REFUSALS)
    assert {point.tag("reason") for point in refused} == {"market_data"}
    assert sum(sum(point.values) for point in refused) == 2


@pytest.mark.parametrize("size", ["0", "-1", "NaN", "Infinity"])
async def test_an_order_of_an_absurd_size_is_refused(
    parts: Parts, exchange: ExchangeDouble, size: str
) -> None:
    request = OrderRequest(idempotency_key="k1", market="BTC-USD", side="buy", size=Decimal(size))
    with pytest.raises(OrderRefused, match="market_data"):
        await parts.orders.place(request, reference_price=PRICE)
    assert exchange.orders == {}


@pytest.mark.parametrize("limits", [Risk(max_order_usd="700")])
@pytest.mark.parametrize("factor", [Decimal("0.001"), Decimal("0.3"), 4])
async def test_a_price_that_jumps_from_the_last_order_is_refused_for_an_hour(
    parts: Parts, factor: Decimal
) -> None:
    await parts.buy("k1")
    request = OrderRequest(
        idempotency_key="k2", market="BTC-USD", side="buy", size=Decimal("0.0001")
    )
    with pytest.raises(OrderRefused, match="market_data"):
        await parts.orders.place(request, reference_price=PRICE * factor)
    await parts.buy("k3", market="ETH-USD")
    parts.clock.now += PRICE_MEMORY_S + 1
    await parts.orders.place(request, reference_price=PRICE * factor)


@pytest.mark.parametrize("price", ABSURD)
@pytest.mark.parametrize("index", [0, 25, 49])
def test_closes_with_an_absurd_price_are_not_usable(price: str, index: int) -> None:
    closes = list(RISING)
    closes[index] = Decimal(price)
    assert market_data.closes_problem(closes, Decimal(3))


def test_closes_may_jump_up_to_a_factor_and_not_more() -> None:
    most = Decimal(3)
    assert market_data.closes_problem([Decimal(1), most, Decimal(1)], most) is None
    for jump in ([1, most + 1], [most + 1, 1]):
        assert "jumped" in str(market_data.closes_problem([Decimal(close) for close in jump], most))
    assert market_data.closes_problem([], most) is None


@dataclass
class Fakes:
    """The account, exchange, orders and faucet of a loop, which record the calls."""

    closes_of: dict[str, list[Decimal]] = field(default_factory=dict)
    newest_at: dict[str, datetime] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    placed: list[str] = field(default_factory=list)
    is_known: bool = True
    is_confirmed: bool = True
    balance_usd: Decimal = Decimal(1000)
    main_currency: str = "usdc"
    problem: str | None = None
    portfolio: Portfolio = field(
        default_factory=lambda: Portfolio(
            positions=(
                Position(
                    market="AAA-USD",
                    size=Decimal("-0.02"),
                    mark_price=Decimal(1),
                    notional_usd=Decimal(1),
                    unrealized_pnl_usd=Decimal(0),
                    realized_pnl_usd=Decimal(0),
                ),
            ),
            equity_usd=Decimal(1000),
        )
    )

    async def refresh(self) -> None:
        return

    def consider(self, balance: Decimal, currency: str) -> None:
        return

    async def candles(self, market: str, *, interval: str, limit: int) -> Candles:
        self.asked.append(market)
        closes = tuple(self.closes_of.get(market, RISING))
        return Candles(closes=closes, newest_at=self.newest_at.get(market))

    async def position_range(self, market: str) -> PositionRange:
        return PositionRange()

    async def place(self, request: OrderRequest, *, reference_price: Decimal) -> None:
        self.placed.append(request.market)


def loop(fakes: Any, strategy: Callable[[Sequence[Decimal]], Any]) -> TradingLoop:
    settings = Settings.model_validate({"strategy": "momentum", "markets": list(MARKETS)})
    return TradingLoop(
        settings,
        strategy=strategy,
        exchange=fakes,
        account=fakes,
        orders=fakes,
        faucet=fakes,
        now=lambda: NOW,
    )


@pytest.mark.parametrize("price", [*ABSURD, "1000"])
async def test_an_absurd_price_of_one_market_does_not_starve_the_others(
    emitter: Emitter, price: str
) -> None:
    fakes = Fakes(closes_of={"AAA-USD": [*RISING[:-1], Decimal(price)]})
    await loop(fakes, lambda _: Decimal("0.01")).trade_once()
    assert (fakes.asked, fakes.placed) == (list(MARKETS), ["BTC-USD", "ETH-USD"])


NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "is_usable"),
    [
        (timedelta(seconds=0), True),
        (timedelta(seconds=315), True),
        (timedelta(seconds=316), False),
        (timedelta(days=30), False),
        (timedelta(seconds=-300), True),
        (timedelta(seconds=-301), False),
    ],
)
async def test_candles_that_are_too_old_or_in_the_future_refuse_their_market_only(
    emitter: Emitter, age: timedelta, is_usable: bool
) -> None:
    fakes = Fakes(newest_at={"AAA-USD": NOW - age})
    await loop(fakes, lambda _: Decimal("0.01")).trade_once()
    assert fakes.placed == ([*MARKETS] if is_usable else ["BTC-USD", "ETH-USD"])


@pytest.mark.parametrize(
    ("time", "newest_at"),
    [
        ('"2026-01-01T00:00:00.000Z"', datetime(2026, 1, 1, tzinfo=UTC)),
        ('"2026-01-01T00:00:00"', datetime(2026, 1, 1, tzinfo=UTC)),
        ("null", None),
        ('"noon"', None),
    ],
)
def test_the_age_of_candles_is_that_of_the_newest(time: str, newest_at: datetime | None) -> None:
    body = f'{{"candles": [{{"close": "1"}}, {{"close": "2", "time": {time}}}]}}'
    candles = wire.Candles.model_validate_json(body).all()
    assert candles == Candles(closes=(Decimal(1), Decimal(2)), newest_at=newest_at)


@pytest.mark.parametrize(
    "signal",
    [Decimal("NaN"), Decimal("Infinity"), float("nan"), float("-inf"), None, "up", ValueError()],
    ids=repr,
)
async def test_a_strategy_that_fails_for_one_market_does_not_starve_the_others(
    emitter: Emitter, signal: Any
) -> None:
    fakes = Fakes(closes_of={"AAA-USD": [Decimal(7)] * 50})

    def strategy(closes: Sequence[Decimal]) -> Any:
        if closes[0] != 7:
            return Decimal("0.01")
        if isinstance(signal, Exception):
            raise signal
        return signal

    await loop(fakes, strategy).trade_once()
    assert (fakes.asked, fakes.placed) == (list(MARKETS), ["BTC-USD", "ETH-USD"])


@pytest.mark.parametrize("signal", [10**400, -1e300, Decimal("1e13")], ids=repr)
async def test_a_signal_that_is_no_fraction_is_named(
    emitter: Emitter, caplog: pytest.LogCaptureFixture, signal: Any
) -> None:
    fakes = Fakes()
    await loop(fakes, lambda _: signal).trade_once()
    texts = {getattr(record, "error.message", "") for record in caplog.records} - {""}
    assert texts == {
        f"the signal {Decimal(signal):.3e} of the strategy is not a fraction of the price"
    }
    assert fakes.placed == []


@pytest.mark.parametrize("odd", ODD_ROWS)
async def test_a_row_without_a_market_does_not_limit_markets_that_are_reported(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, odd: str
) -> None:
    await parts.buy("k1")
    await parts.buy("k2", market="ETH-USD")
    answer_with(exchange, "/v1/positions", positions(odd, row()))
    await parts.account.refresh()
    await parts.buy("k3")  # reported
    await parts.buy("k4", market="AAA-USD")  # our own fills: no position
    with pytest.raises(OrderRefused, match="account_data"):
        await parts.buy("k5", market="ETH-USD")  # our own fills: a position, which may be the row
    assert parts.account.open_markets >= {"BTC-USD", "ETH-USD"}
    folder.set_mode("Stopped")
    await parts.account.refresh()
    assert await parts.orders.close_position("BTC-USD") is not None


@pytest.mark.parametrize("odd", ODD_NUMBERS)
async def test_an_unreadable_size_is_unknown_and_not_zero(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, odd: str
) -> None:
    await parts.buy("k1")
    await parts.account.refresh()
    answer_with(exchange, "/v1/positions", positions(row(size=odd), row(market='"ETH-USD"')))
    await parts.account.refresh()
    assert parts.account.unknown_markets == {"BTC-USD"}
    assert "BTC-USD" in parts.account.open_markets
    with pytest.raises(OrderRefused, match="account_data"):
        await parts.buy("k2")
    await parts.buy("k3", market="ETH-USD")
    folder.set_mode("Stopped")
    assert await parts.orders.close_position("BTC-USD") is None  # never closed on a guess
    await parts.shutdown.run_at_exit()
    assert "open positions: BTC-USD" in str(parts.shutdown.incomplete)


@pytest.mark.parametrize("odd", ODD_NUMBERS)
@pytest.mark.parametrize("name", ["mark_price", "notional_usd", "unrealized_pnl_usd"])
async def test_a_position_of_unknown_value_is_traded_and_closed_by_its_size(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, name: str, odd: str
) -> None:
    await parts.buy("k1")
    await parts.account.refresh()
    answer_with(exchange, "/v1/positions", positions(row(**{name: odd})))
    await parts.account.refresh()
    assert parts.account.portfolio.size_of("BTC-USD") == Decimal("0.01")
    assert parts.account.unknown_markets == frozenset()
    folder.set_mode("Stopped")
    assert await parts.orders.close_position("BTC-USD") is not None


@pytest.mark.parametrize("odd", ODD_NUMBERS)
async def test_an_unreadable_equity_is_not_a_drawdown_and_positions_still_close(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, odd: str
) -> None:
    await parts.buy("k1")
    await parts.account.refresh()
    peak = parts.account.peak_equity_usd
    answer_with(exchange, "/v1/positions", positions(row(), equity=odd))
    await parts.account.refresh()
    assert (parts.account.drawdown_pct, parts.account.peak_equity_usd) == (0, peak)
    with pytest.raises(OrderRefused, match="account_data"):
        await parts.buy("k2")
    folder.set_mode("Stopped")
    assert await parts.orders.close_position("BTC-USD") is not None


@pytest.mark.parametrize("limits", [Risk(min_balance_usd="100")])
@pytest.mark.parametrize(
    "odd", [*ODD_ROWS, *(f'{{"amount": {n}, "usd_value": {n}}}' for n in ODD_NUMBERS)]
)
async def test_an_unreadable_balance_counts_neither_as_zero_nor_as_available(
    parts: Parts, exchange: ExchangeDouble, odd: str
) -> None:
    good = '{"amount": "60", "usd_value": "60"}'
    answer_with(exchange, "/v1/balance", f'{{"balances": {{"USDC": {good}, "XYZ": {good}}}}}')
    await parts.account.refresh()
    await parts.buy("k1")
    answer_with(exchange, "/v1/balance", f'{{"balances": {{"USDC": {good}, "XYZ": {odd}}}}}')
    await parts.account.refresh()
    assert parts.account.balance_usd == 120  # the last known value: no alert and no faucet claim
    with pytest.raises(OrderRefused, match="min_balance"):
        await parts.buy("k2")
    enough = '{"amount": "100", "usd_value": "100"}'
    answer_with(exchange, "/v1/balance", f'{{"balances": {{"USDC": {enough}, "XYZ": {odd}}}}}')
    await parts.account.refresh()
    await parts.buy("k3")


ORDER_FIELDS = ('"size": "NaN"', '"size": null', '"status": "lost"', '"side": "up"')


@pytest.mark.parametrize("odd", ["null", "5", "{}", "other"])
async def test_an_odd_row_beside_an_order_does_not_hide_the_order(
    parts: Parts, exchange: ExchangeDouble, odd: str
) -> None:
    exchange.faults.lose_answers_after_commit = 1
    exchange.faults.hide_orders = True
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    filled = Order(
        order_id="o1",
        idempotency_key="k1",
        market="BTC-USD",
        side="buy",
        size=Decimal("0.01"),
        type="market",
        status=OrderStatus.FILLED,
        price=PRICE,
        filled_size=Decimal("0.01"),
    )
    good = wire.OrderPayload.model_validate(
        {name: getattr(filled, name) for name in wire.OrderPayload.model_fields}
    ).model_dump_json()
    other = good.replace('"k1"', "null")
    only_odd = other if odd == "other" else odd
    answer_with(exchange, "/v1/orders", f'{{"orders": [{only_odd}]}}')
    with pytest.raises(OutcomeUnknown):  # it may be the order, so this is not "not found"
        await parts.orders.settle_unfinished()
    answer_with(exchange, "/v1/orders", f'{{"orders": [{only_odd}, {good}]}}')
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"filled": 1}


@pytest.mark.parametrize("filled", ['"0.02"', '"-0.01"', "NaN", "null"])
async def test_an_order_with_an_absurd_fill_is_unknown_and_looked_up(
    parts: Parts, exchange: ExchangeDouble, filled: str
) -> None:
    def gateway(request: Request, response: Response) -> Response:
        if request.method != "POST":
            return response
        body = bytes(response.body).replace(
            b'"filled_size":"0.01"', f'"filled_size":{filled}'.encode()
        )
        return Response(body, 201, media_type="application/json")

    exchange.gateway = gateway
    await parts.buy("k1")
    (entry,) = [await parts.journal.entry("k1")]
    assert entry is not None
    assert entry.order is not None
    assert entry.order.filled_size == Decimal("0.01")
    assert exchange.count("GET", "/v1/orders") == 1

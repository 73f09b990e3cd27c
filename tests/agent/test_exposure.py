"""Exposure: positions, escrows and their limits, with an exchange whose answers may be old or wrong."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest, Side
from purpleflea_agent.trading.errors import EscrowUnsettled, OrderRefused, OrderUnsettled
from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_agent.trading.position_discrepancies import TRUST_AFTER_S
from purpleflea_contract import metrics
from purpleflea_contract.settings import Risk, Settings, TradingSettings
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import PRICE, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

MARKETS = ("BTC-USD", "ETH-USD")
STEP = Decimal("0.01")


@pytest.fixture
def limits() -> Risk:
    return Risk()


@pytest.fixture
def trading() -> TradingSettings:
    return TradingSettings()


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    limits: Risk,
    trading: TradingSettings,
) -> AsyncIterator[Parts]:
    async with running_parts(
        folder,
        emitter,
        sink,
        endpoints=exchange.endpoints,
        markets=MARKETS,
        limits=limits,
        trading=trading,
    ) as running:
        yield running


def report(exchange: ExchangeDouble, sizes: dict[str, str] | None) -> None:
    """Answer GET /v1/positions with these sizes, or again with the real ones (None)."""

    def gateway(request: Request, response: Response) -> Response:
        if request.url.path != "/v1/positions" or sizes is None:
            return response
        return JSONResponse(
            {"positions": [row(*item) for item in sizes.items()], "equity_usd": "10000"}
        )

    exchange.gateway = gateway


def row(market: str, size: str, mark_price: str = "64900") -> dict[str, Any]:
    return {
        "market": market,
        "size": size,
        "mark_price": mark_price,
        "notional_usd": "1",
        "unrealized_pnl_usd": "0",
        "realized_pnl_usd": "0",
    }


async def place(
    parts: Parts,
    key: str,
    *,
    side: Side = "buy",
    size: Decimal = STEP,
    market: str = "BTC-USD",
    limit: Decimal | None = None,
) -> None:
    request = OrderRequest(
        idempotency_key=key,
        market=market,
        side=side,
        size=size,
        type="limit" if limit else "market",
        price=limit,
    )
    await parts.orders.place(request, reference_price=PRICE)


def built(exchange: ExchangeDouble, market: str = "BTC-USD") -> Decimal:
    """Return the position by the books of the exchange."""
    orders = (item for item in exchange.orders.values() if item["market"] == market)
    return sum(
        (Decimal(item["filled_size"]) * (1 if item["side"] == "buy" else -1) for item in orders),
        Decimal(0),
    )


def trading_loop(parts: Parts, settings: Settings) -> TradingLoop:
    return TradingLoop(
        settings,
        strategy=lambda _: Decimal("0.01"),
        exchange=parts.exchange,
        account=parts.account,
        orders=parts.orders,
        faucet=parts.faucet,
    )


SETTINGS = Settings.model_validate({"strategy": "momentum", "markets": ["BTC-USD"]})


@pytest.mark.parametrize("stale", [{}, {"BTC-USD": "0.01"}, {"BTC-USD": "-0.02"}])
@pytest.mark.parametrize("interval_s", [0.4, 15])  # before and after it is a mismatch
async def test_a_stale_report_never_lets_a_position_grow_beyond_its_full_size(
    parts: Parts, exchange: ExchangeDouble, stale: dict[str, str], interval_s: float
) -> None:
    loop = trading_loop(parts, SETTINGS)
    await parts.account.refresh()
    report(exchange, stale)
    for _ in range(60):
        await loop.trade_once()
        parts.clock.now += interval_s
    assert built(exchange) <= 4 * STEP


async def test_a_signal_that_persists_at_the_full_size_sends_nothing(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    loop = trading_loop(parts, SETTINGS)
    for _ in range(12):
        await loop.trade_once()
        parts.clock.now += 15
    assert [order["side"] for order in exchange.orders.values()] == ["buy"] * 4


LIMIT = Risk(max_position_usd="1298", max_order_usd="5000")  # two steps at PRICE


@pytest.mark.parametrize("limits", [LIMIT])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("first", ["filled", "resting", "unreported", "unjournalled"])
async def test_the_limit_of_a_position_counts_all_that_may_be_held(
    parts: Parts, exchange: ExchangeDouble, side: Side, first: str
) -> None:
    sign = 1 if side == "buy" else -1
    await parts.account.refresh()
    if first == "unjournalled":  # another client trades on the same account
        report(exchange, {"BTC-USD": str(2 * sign * STEP)})
    else:
        limit = PRICE if first == "resting" else None
        await place(parts, "k1", side=side, limit=limit)
        await place(parts, "k2", side=side, limit=limit)
    if first == "unreported":
        report(exchange, {})
    parts.clock.now += 5
    with pytest.raises(OrderRefused, match="max_position"):
        await place(parts, "k3", side=side)
    assert "k3" not in exchange.orders


@pytest.mark.parametrize("limits", [LIMIT])
async def test_an_order_beyond_the_limit_may_still_shrink_or_reverse(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await place(parts, "k1", size=2 * STEP)
    exchange.closes = ("130000",) * 50
    request = OrderRequest(idempotency_key="k2", market="BTC-USD", side="sell", size=STEP)
    await parts.orders.place(request, reference_price=Decimal(90000))
    await place(parts, "k3", side="sell", size=2 * STEP)
    assert built(exchange) == -STEP


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Risk(max_position_usd="2000", max_order_usd="5000"), "max_position"),
        (Risk(max_exposure_usd="2000", max_order_usd="5000"), "max_exposure"),
    ],
)
async def test_a_resting_order_counts_at_its_own_price_when_its_market_grows(
    parts: Parts, exchange: ExchangeDouble, reason: str
) -> None:
    await place(parts, "k1", side="sell", limit=2 * PRICE)  # worth 1298, and 649 at the price
    with pytest.raises(OrderRefused, match=reason):
        await place(parts, "k2", side="sell")
    assert "k2" not in exchange.orders


@pytest.mark.parametrize("limits", [Risk(max_exposure_usd="1298")])
@pytest.mark.parametrize("eth_side", ["buy", "sell"])
async def test_the_limit_over_all_markets_adds_long_and_short(
    parts: Parts, exchange: ExchangeDouble, eth_side: Side
) -> None:
    await place(parts, "k1")
    await place(parts, "k2", market="ETH-USD", side=eth_side, limit=PRICE)
    for market, side in zip(MARKETS, ("buy", eth_side), strict=True):
        with pytest.raises(OrderRefused, match="max_exposure"):
            await place(parts, f"{market}-more", market=market, side=side)
    await place(parts, "k3", side="sell")
    assert built(exchange) == 0


@pytest.mark.parametrize("limits", [Risk(max_exposure_usd="5000"), Risk()])
@pytest.mark.parametrize(
    "eth",
    [row("ETH-USD", "NaN"), row("ETH-USD", "1", mark_price="NaN"), row("ETH-USD", "1", "0")],
    ids=["size", "no price", "zero price"],
)
async def test_an_exposure_that_cannot_be_valued_blocks_growth_only_if_it_is_limited(
    parts: Parts, exchange: ExchangeDouble, limits: Risk, eth: dict[str, Any]
) -> None:
    def gateway(request: Request, response: Response) -> Response:
        if request.url.path != "/v1/positions":
            return response
        return JSONResponse({"positions": [row("BTC-USD", "0.01"), eth], "equity_usd": "10000"})

    exchange.gateway = gateway
    await parts.account.refresh()
    if limits.max_exposure_usd is None:
        await place(parts, "k1", size=Decimal("0.001"))
    else:
        with pytest.raises(OrderRefused, match="account_data"):
            await place(parts, "k1", size=Decimal("0.001"))
    await place(parts, "k2", side="sell", size=Decimal("0.001"))


def mismatch_count(parts: Parts) -> float:
    return float(parts.sent(metrics.POSITION_MISMATCHES)[-1].values[-1])


@pytest.mark.parametrize("reported", ["0.02", "-0.01", "0.005"])
async def test_a_position_that_differs_beyond_fills_in_flight_does_not_grow(
    parts: Parts, exchange: ExchangeDouble, caplog: pytest.LogCaptureFixture, reported: str
) -> None:
    await parts.account.refresh()
    await place(parts, "k1")
    await parts.account.refresh()
    report(exchange, {"BTC-USD": reported})
    await parts.account.refresh()
    assert parts.account.mismatched_markets == frozenset()  # a single report may be out of sequence
    await parts.account.refresh()
    with pytest.raises(OrderRefused, match="position_mismatch"):
        await place(parts, "k2")
    assert mismatch_count(parts) == 1
    await place(parts, "k3", market="ETH-USD")
    report(exchange, None)
    await parts.account.refresh()
    logged = [vars(item) for item in caplog.records if "mismatch.status" in vars(item)]
    assert [item["mismatch.status"] for item in logged] == ["started", "ended"]
    assert [str(logged[0][name]) for name in ("reported_size", "own_size")] == [reported, "0.01"]
    assert mismatch_count(parts) == 0
    await place(parts, "k4")


async def test_a_report_that_only_lacks_our_last_fills_is_a_mismatch_once_it_lasts(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    report(exchange, {})
    await place(parts, "k1")
    for _ in range(5):
        await parts.account.refresh()
    await place(parts, "k2")
    parts.clock.now += TRUST_AFTER_S + 1
    with pytest.raises(OrderRefused, match="position_mismatch"):
        await place(parts, "k3")


async def test_a_fill_of_a_resting_order_that_is_reported_first_is_no_mismatch(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    await place(parts, "k1", limit=PRICE)
    exchange.orders["k1"] |= {"status": "filled", "filled_size": "0.01", "price": "64900"}
    for _ in range(3):
        await parts.account.refresh()
    await place(parts, "k2")
    assert mismatch_count(parts) == 0


def former_market(parts: Parts) -> list[float]:
    points = [p for p in parts.sent(metrics.OPEN_POSITIONS) if p.tag("market") == "sol-usd"]
    return [value for point in points for value in point.values]


async def test_a_market_that_left_the_spec_keeps_its_metrics_until_it_is_closed(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    exchange.orders["old"] = exchange.filled(
        "old", {"market": "SOL-USD", "side": "buy", "size": "2", "type": "market"}
    )
    await parts.account.refresh()
    assert former_market(parts) == [1]
    folder.set_mode("Stopped", flatten=True)
    await parts.orders.close_position("SOL-USD")
    assert built(exchange, "SOL-USD") == 0
    for _ in range(3):
        await parts.account.refresh()
        assert former_market(parts) == [1, 0]
    profits = {p.tag("realized") for p in parts.sent(metrics.PNL) if p.tag("market") == "sol-usd"}
    assert profits == {"true", "false"}


def escrow(key: str, amount: str, counterparty: str = "agent_7") -> EscrowRequest:
    return EscrowRequest(
        idempotency_key=key, counterparty_id=counterparty, amount_usd=Decimal(amount)
    )


@pytest.mark.parametrize("limits", [Risk(max_escrow_usd="100")])
@pytest.mark.parametrize("first", ["open", "unknown", "released", "cancelled"])
async def test_the_limit_of_escrows_is_the_sum_of_all_that_may_be_open(
    parts: Parts, exchange: ExchangeDouble, first: str
) -> None:
    with pytest.raises(OrderRefused, match="max_escrow"):
        await parts.escrows.create(escrow("k0", "100.01"))
    if first == "unknown":
        exchange.faults.lose_escrow_requests = 1
        with pytest.raises(EscrowUnsettled):
            await parts.escrows.create(escrow("k1", "60"))
    else:
        opened = await parts.escrows.create(escrow("k1", "60"))
        if first == "released":
            await parts.escrows.release(opened.escrow_id)
        if first == "cancelled":
            await parts.escrows.cancel(opened.escrow_id)
    if first in ("open", "unknown"):
        with pytest.raises(OrderRefused, match="max_escrow"):
            await parts.escrows.create(escrow("k2", "40.01"))
        await parts.escrows.create(escrow("k3", "40"))
    else:
        await parts.escrows.create(escrow("k3", "100"))
    assert "k2" not in {item["idempotency_key"] for item in exchange.escrows.values()}


@pytest.mark.parametrize("limits", [Risk(max_escrow_usd="100")])
async def test_escrows_at_the_same_time_do_not_pass_the_limit_together(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    requests = [escrow(f"k{number}", "40") for number in range(6)]
    results = await asyncio.gather(
        *(parts.escrows.create(item) for item in requests), return_exceptions=True
    )
    assert sum(isinstance(item, OrderRefused) for item in results) == 4
    assert len(exchange.escrows) == 2


@pytest.mark.parametrize("limits", [Risk(counterparties=("agent_7",)), Risk()])
async def test_money_goes_only_to_counterparties_on_the_list(
    parts: Parts, exchange: ExchangeDouble, limits: Risk
) -> None:
    await parts.escrows.create(escrow("k1", "1"))
    # Another client of the same account opened it.
    exchange.escrows["esc_9"] = {
        "escrow_id": "esc_9",
        "status": "created",
        "counterparty_id": "mallory",
        "amount_usd": "5",
        "idempotency_key": "other",
    }
    if not limits.counterparties:
        await parts.escrows.create(escrow("k2", "1", "mallory"))
        await parts.escrows.release("esc_9")
        return
    with pytest.raises(OrderRefused, match="counterparty"):
        await parts.escrows.create(escrow("k2", "1", "mallory"))
    with pytest.raises(OrderRefused, match="counterparty"):
        await parts.escrows.release("esc_9")
    await parts.escrows.release("esc_1")
    assert exchange.escrows["esc_9"]["status"] == "created"
    assert len(exchange.escrows) == 2


@pytest.mark.parametrize("trading", [TradingSettings(unknown_order_window="10m")])
async def test_the_window_of_unknown_outcomes_is_a_setting(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_requests = exchange.faults.lose_escrow_requests = 1
    with pytest.raises(OrderUnsettled):
        await place(parts, "k1")
    with pytest.raises(EscrowUnsettled):
        await parts.escrows.create(escrow("e1", "1"))
    for waited_s, expected in ((590, "written"), (20, "failed")):
        parts.clock.now += waited_s
        for _ in range(3):
            await parts.orders.settle_unfinished()
            await parts.escrows.settle_sent()
        assert await parts.journal.counts() == {expected: 1}
        assert await parts.journal.escrow_counts() == {expected: 1}


@pytest.mark.parametrize("trading", [TradingSettings(max_price_jump="1.5")])
async def test_the_largest_jump_of_a_price_is_a_setting(parts: Parts) -> None:
    await place(parts, "k1")
    request = OrderRequest(idempotency_key="k2", market="BTC-USD", side="sell", size=STEP)
    with pytest.raises(OrderRefused, match="market_data"):
        await parts.orders.place(request, reference_price=PRICE * 2)
    await parts.orders.place(request, reference_price=PRICE * Decimal("1.4"))

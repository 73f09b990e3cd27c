"""An empty journal: a new agent adopts and closes nothing until the first reports of the exchange have agreed."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from purpleflea_agent.trading.errors import OrderRefused
from purpleflea_agent.trading.first_reports import EMPTY_FOR_S
from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_agent.trading.position_discrepancies import TRUST_AFTER_S
from purpleflea_contract.settings import Settings
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

SETTINGS = Settings.model_validate({"strategy": "momentum", "markets": ["BTC-USD"]})


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, exchange: ExchangeDouble) -> AgentFolder:
    mounts = AgentFolder(tmp_path_factory.mktemp("new") / "agent", exchange.endpoints)
    mounts.forget_journal()
    return mounts


@pytest.fixture
async def parts(
    exchange: ExchangeDouble, folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink
) -> AsyncIterator[Parts]:
    async with running_parts(folder, emitter, sink, endpoints=exchange.endpoints) as running:
        yield running


def report(exchange: ExchangeDouble, size: str | None) -> None:
    """Answer GET /v1/positions with an old size of BTC-USD, or again with the real one (None)."""
    position = {
        "market": "BTC-USD",
        "size": size,
        "mark_price": "64900",
        "notional_usd": "1",
        "unrealized_pnl_usd": "0",
        "realized_pnl_usd": "0",
    }

    def gateway(request: Request, response: Response) -> Response:
        if request.url.path != "/v1/positions" or size is None:
            return response
        return JSONResponse({"positions": [position] if size != "0" else [], "equity_usd": "9"})

    exchange.gateway = gateway


async def test_a_position_is_not_closed_on_the_word_of_an_old_report(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    folder.set_mode("Stopped", flatten=True)
    report(exchange, "0.04")  # the former pod has closed it a moment ago
    for _ in range(5):
        await parts.account.refresh()
        assert await parts.orders.close_position("BTC-USD") is None
        parts.clock.now += 4
    report(exchange, None)
    for _ in range(20):
        await parts.account.refresh()
        assert await parts.orders.close_position("BTC-USD") is None
        parts.clock.now += 4
    assert exchange.orders == {}
    assert parts.account.open_markets == frozenset()


async def test_a_position_is_adopted_and_closed_once_the_reports_have_agreed(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    folder.set_mode("Stopped", flatten=True)
    body = {"market": "BTC-USD", "side": "buy", "size": "0.04", "type": "market"}
    exchange.orders["old"] = exchange.filled("old", body)
    await parts.account.refresh()
    assert parts.account.open_markets == {"BTC-USD"}
    parts.clock.now += TRUST_AFTER_S - 0.1
    await parts.account.refresh()
    assert await parts.orders.close_position("BTC-USD") is None
    parts.clock.now += 0.2
    order = await parts.orders.close_position("BTC-USD")
    assert order is not None
    assert (order.side, order.size) == ("sell", Decimal("0.04"))


async def test_a_new_agent_without_positions_trades_after_two_equal_reports(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    loop = TradingLoop(
        SETTINGS,
        strategy=lambda _: Decimal("0.01"),
        exchange=parts.exchange,
        account=parts.account,
        orders=parts.orders,
        faucet=parts.faucet,
    )
    await loop.trade_once()
    with pytest.raises(OrderRefused, match="account_data"):
        await parts.buy("k1")
    await loop.trade_once()  # an equal report, but at the same time
    assert exchange.orders == {}
    parts.clock.now += EMPTY_FOR_S
    await loop.trade_once()
    assert len(exchange.orders) == 1


@pytest.mark.parametrize("second", ["0.03", "0", "NaN"])
async def test_a_report_that_differs_starts_the_interval_again(
    parts: Parts, exchange: ExchangeDouble, second: str
) -> None:
    for size in ("0.04", second, "0.04"):
        report(exchange, size)
        await parts.account.refresh()
        parts.clock.now += TRUST_AFTER_S / 2
    await parts.account.refresh()
    assert not parts.account.is_confirmed
    parts.clock.now += TRUST_AFTER_S / 2
    await parts.account.refresh()
    assert parts.account.is_confirmed
    assert parts.account.safe_close_size("BTC-USD") == Decimal("0.04")


@pytest.mark.parametrize("before", ["confirmed", "journal of an earlier version"])
async def test_a_journal_that_knows_positions_is_used_at_once_after_a_restart(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    before: str,
) -> None:
    clock, endpoints = Clock(), exchange.endpoints
    async with running_parts(folder, emitter, sink, endpoints=endpoints, clock=clock) as first:
        if before == "confirmed":
            for _ in range(2):
                await first.account.refresh()
                clock.now += EMPTY_FOR_S
        else:
            await first.journal.reconcile({})
            await first.journal.accept_reported("BTC-USD", Decimal(0))
    async with running_parts(folder, emitter, sink, endpoints=endpoints, clock=clock) as second:
        await second.buy("k1")
    assert len(exchange.orders) == 1

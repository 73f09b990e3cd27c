"""Profit net of fees: the totals of the fees in the journal, and the metrics that contain them."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.exchange.port import Order, OrderRequest, OrderStatus
from purpleflea_agent.journal import FILE_NAME, Journal
from purpleflea_agent.journal.positions import ReportedPosition
from purpleflea_contract import metrics
from purpleflea_contract.metrics import Metric
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

FILLED = Order(
    order_id="ord_1",
    idempotency_key="k1",
    market="BTC-USD",
    side="buy",
    size=Decimal("0.02"),
    type="market",
    status=OrderStatus.FILLED,
    price=Decimal(60000),
    filled_size=Decimal("0.02"),
    fee_usd=Decimal("0.60"),
)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal(tmp_path)
    yield opened
    await opened.close()


async def settle(journal: Journal, *orders: Order) -> None:
    for order in orders:
        if await journal.entry(order.idempotency_key) is None:
            request = OrderRequest(
                idempotency_key=order.idempotency_key,
                market=order.market,
                side=order.side,
                size=order.size,
            )
            await journal.write(request)
        await journal.settle(order)


async def fees(journal: Journal) -> dict[str, Decimal]:
    return dict((await journal.reconcile({})).fees)


async def test_fees_are_summed_by_market(journal: Journal) -> None:
    other = replace(FILLED, idempotency_key="k2", order_id="ord_2", market="ETH-USD")
    again = replace(FILLED, idempotency_key="k3", order_id="ord_3", fee_usd=Decimal("0.15"))
    await settle(journal, FILLED, other, again)
    assert await fees(journal) == {"BTC-USD": Decimal("0.75"), "ETH-USD": Decimal("0.60")}


async def test_the_same_order_counts_once_and_a_partial_fill_by_its_difference(
    journal: Journal,
) -> None:
    part = replace(FILLED, filled_size=Decimal("0.01"), fee_usd=Decimal("0.30"))
    await settle(journal, replace(part, status=OrderStatus.OPEN), FILLED, FILLED)
    assert await fees(journal) == {"BTC-USD": Decimal("0.60")}


async def test_a_rebate_lowers_the_fees(journal: Journal) -> None:
    rebate = replace(FILLED, idempotency_key="k2", order_id="ord_2", fee_usd=Decimal("-0.05"))
    await settle(journal, FILLED, rebate)
    assert await fees(journal) == {"BTC-USD": Decimal("0.55")}


async def test_an_order_without_effect_has_no_fee(journal: Journal) -> None:
    rejected = replace(
        FILLED, status=OrderStatus.REJECTED, filled_size=Decimal(0), fee_usd=Decimal(0)
    )
    await settle(journal, rejected)
    assert await fees(journal) == {}


async def test_fees_survive_a_restart_and_the_deletion_of_old_orders(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await settle(journal, FILLED)
    await journal.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("DELETE FROM orders")
    database.commit()
    database.close()
    journal = Journal(tmp_path)
    assert await fees(journal) == {"BTC-USD": Decimal("0.60")}
    await journal.close()


async def test_the_fees_of_a_journal_without_totals_are_those_of_its_orders(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    await settle(journal, FILLED)
    await journal.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("DELETE FROM facts WHERE name LIKE 'fees %'")
    database.commit()
    database.close()
    journal = Journal(tmp_path)
    assert await fees(journal) == {"BTC-USD": Decimal("0.60")}
    await settle(journal, replace(FILLED, idempotency_key="k2", order_id="ord_2"))
    assert await fees(journal) == {"BTC-USD": Decimal("1.20")}
    await journal.close()


async def test_the_fees_of_an_earlier_version_survive_the_deletion_of_its_orders(
    tmp_path: Path,
) -> None:
    clock = Clock()
    journal = Journal(tmp_path, clock=clock)
    await settle(journal, replace(FILLED, market="ETH-USD"))
    await journal.close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as database, database:
        database.execute("DELETE FROM facts WHERE name LIKE 'fees %'")
    for month in range(3):
        journal = Journal(tmp_path, clock=clock)
        await settle(journal, replace(FILLED, idempotency_key=f"later {month}"))
        assert (await fees(journal))["ETH-USD"] == FILLED.fee_usd
        await journal.close()
        clock.now += 32 * 24 * 3600


async def test_a_settlement_that_fails_adds_no_fee(journal: Journal) -> None:
    await settle(journal, FILLED)
    journal._store._database.execute(
        "CREATE TRIGGER broken BEFORE UPDATE ON orders BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(Exception, match="full"):
        await settle(journal, replace(FILLED, idempotency_key="k2", order_id="ord_2"))
    assert await fees(journal) == {"BTC-USD": Decimal("0.60")}


def last(parts: Parts, metric: Metric, **tags: str) -> float:
    points = [p for p in parts.sent(metric) if all(p.tag(n) == v for n, v in tags.items())]
    return points[-1].values[0]


async def test_realized_profit_is_net_of_fees(
    exchange: ExchangeDouble, folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink
) -> None:
    async with running_parts(folder, emitter, sink, endpoints=exchange.endpoints) as parts:
        await parts.account.refresh()
        before = parts.account.realized_pnl.get("BTC-USD", Decimal(0))
        assert last(parts, metrics.PNL, realized="true") == float(before)
        await parts.buy("k1")
        await parts.buy("k2")
        gross = parts.account.realized_pnl["BTC-USD"]
        assert last(parts, metrics.FEES, market="btc-usd") == pytest.approx(0.20)
        net = last(parts, metrics.PNL, realized="true")
        assert net == pytest.approx(float(gross) - 0.20)


async def test_a_position_report_does_not_replace_the_fees(journal: Journal) -> None:
    await settle(journal, FILLED)
    report = ReportedPosition(size=Decimal("0.02"), realized_pnl_usd=Decimal(7))
    found = await journal.reconcile({"BTC-USD": report})
    assert found.realized == {"BTC-USD": Decimal(7)}
    assert found.fees == {"BTC-USD": Decimal("0.60")}

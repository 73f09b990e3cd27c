"""Profit, equity and escrows if the exchange sends stale answers or loses answers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.exchange.port import EscrowRequest
from purpleflea_agent.trading.errors import EscrowUnsettled, OrderUnsettled
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS, ABANDON_AFTER_S
from support.agent_parts import Clock, Parts
from support.fault_kinds import mixed
from support.paper_exchange import RICH, PaperExchange

Start = Callable[[], AbstractAsyncContextManager[Parts]]
LOST_ANSWER = {"kind": "timeout_after_commit", "times": 1}
ORDERS, ESCROWS = {"path_prefix": "/v1/orders"}, {"path_prefix": "/v1/escrow"}
STALE_POSITIONS = {"kind": "stale", "match": {"path_prefix": "/v1/positions"}}
QUARTER = RICH / 4
DAY_S = 86_400.0


@pytest.fixture
async def parts(start: Start) -> AsyncIterator[Parts]:
    async with start() as running:
        yield running


def escrow(key: str, amount_usd: Decimal = Decimal(25)) -> EscrowRequest:
    return EscrowRequest(idempotency_key=key, counterparty_id="agent_x", amount_usd=amount_usd)


async def test_profit_of_an_order_whose_answer_is_lost_counts_once(
    parts: Parts, exchange: PaperExchange
) -> None:
    await parts.buy("b1")
    await parts.buy("b2")
    exchange.inject_faults(
        [
            {**LOST_ANSWER, "match": {"method": "POST", **ORDERS}},
            {"kind": "status", "status": 500, "match": {"method": "GET", **ORDERS}},
        ]
    )
    with pytest.raises(OrderUnsettled):
        await parts.buy("s1", side="sell")
    exchange.remove_faults()
    await parts.account.refresh()  # contains the order already
    await parts.orders.settle_unfinished()
    await parts.buy("s2", side="sell")
    await parts.account.refresh()
    profit = sum(Decimal(order["realized_pnl_usd"]) for order in exchange.orders())
    assert profit
    assert parts.account.realized_pnl["BTC-USD"] == profit


async def test_escrow_payments_and_returns_change_neither_loss_nor_gain(
    start: Start, exchange: PaperExchange
) -> None:
    async with start() as parts:
        await parts.account.refresh()
        paid = await parts.escrows.create(escrow("e1", QUARTER))
        kept = await parts.escrows.create(escrow("e2", QUARTER))
        await parts.account.refresh()
        assert parts.account.drawdown_pct == 0
        await parts.escrows.release(paid.escrow_id)
        await parts.escrows.cancel(kept.escrow_id)
        await parts.account.refresh()
        assert parts.account.drawdown_pct == 0
        assert parts.account.peak_equity_usd == RICH - QUARTER
    async with start() as after:
        await after.account.refresh()
        assert after.account.drawdown_pct == 0
        await after.buy("k1")
    assert exchange.order_count() == 1


async def test_an_escrow_of_unknown_outcome_is_not_a_loss(
    parts: Parts, exchange: PaperExchange
) -> None:
    await parts.account.refresh()
    exchange.inject_faults(
        [
            {**LOST_ANSWER, "match": {"method": "POST", **ESCROWS}},
            {"kind": "status", "status": 500, "match": {"method": "GET", **ESCROWS}},
        ]
    )
    with pytest.raises(EscrowUnsettled):
        await parts.escrows.create(escrow("e1", QUARTER))
    await parts.account.refresh()
    assert parts.account.drawdown_pct == 0
    exchange.remove_faults()
    await parts.escrows.settle_unfinished()
    await parts.account.refresh()
    assert parts.account.drawdown_pct == 0


async def test_a_stale_equity_around_an_escrow_changes_neither_peak_nor_loss(
    parts: Parts, exchange: PaperExchange, clock: Clock
) -> None:
    await parts.account.refresh()
    exchange.inject_faults([STALE_POSITIONS])
    opened = await parts.escrows.create(escrow("e1", QUARTER))
    await parts.account.refresh()
    exchange.inject_faults([STALE_POSITIONS])
    await parts.account.refresh()
    assert (parts.account.drawdown_pct, parts.account.peak_equity_usd) == (0, RICH - QUARTER)
    await parts.escrows.cancel(opened.escrow_id)
    await parts.account.refresh()
    assert parts.account.drawdown_pct == 0
    exchange.remove_faults()
    clock.now += 2 * ABANDON_AFTER_S
    await parts.account.refresh()
    assert (parts.account.drawdown_pct, parts.account.peak_equity_usd) == (0, RICH)


async def test_a_stale_answer_abandons_no_escrow_even_if_the_clock_steps(
    parts: Parts, exchange: PaperExchange, clock: Clock
) -> None:
    exchange.inject_faults(
        [
            {**LOST_ANSWER, "match": {"method": "POST", **ESCROWS}},
            {"kind": "stale", "match": {"method": "GET", **ESCROWS}},
        ]
    )
    with pytest.raises(EscrowUnsettled):
        await parts.escrows.create(escrow("e1"))
    clock.set_by = DAY_S
    for _ in range(ABANDON_AFTER_LOOKUPS + 1):
        await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"written": 1}
    exchange.remove_faults()
    await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"created": 1}


@pytest.mark.timeout(300)
async def test_under_mixed_faults_no_escrow_is_paid_twice_or_lost(
    parts: Parts, exchange: PaperExchange, clock: Clock, is_full_run: bool
) -> None:
    exchange.inject_faults(mixed(0.3))
    keys = [f"e{number}" for number in range(500 if is_full_run else 50)]
    for key in keys:
        with suppress(EscrowUnsettled, ExchangeError):
            await parts.escrows.create(escrow(key))
        clock.now += 5
        with suppress(ExchangeError):
            await parts.escrows.settle_unfinished()
    assert exchange.remove_faults() > len(keys) * 0.3
    while (await parts.journal.escrow_counts()).get("written"):
        clock.now += 5
        await parts.escrows.settle_unfinished()
    await parts.account.refresh()
    counts = await parts.journal.escrow_counts()
    assert counts.keys() <= {"created", "failed"}
    assert parts.account.balance_usd == RICH - 25 * counts["created"]
    assert parts.account.drawdown_pct == 0


@pytest.mark.parametrize("oddity", ["unknown_name", "missing", "nan", "wrong_type", "null"])
async def test_an_odd_answer_about_an_escrow_is_never_booked(
    parts: Parts, exchange: PaperExchange, oddity: str
) -> None:
    await parts.account.refresh()
    exchange.inject_faults([{"kind": "odd_rows", "oddity": oddity, "match": ESCROWS}])
    for number in range(4):
        with suppress(EscrowUnsettled, ExchangeError):
            await parts.escrows.create(escrow(f"e{number}"))
    exchange.remove_faults()
    await parts.escrows.settle_unfinished()
    await parts.account.refresh()
    counts = await parts.journal.escrow_counts()
    assert counts == {"created": 4}
    assert parts.account.balance_usd == RICH - 100
    assert parts.account.drawdown_pct == 0

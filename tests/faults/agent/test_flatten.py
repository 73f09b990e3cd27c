"""Closing of positions with stale reports and all faults: each is closed once and never reversed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import httpx
import pytest

from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS, ABANDON_AFTER_S
from support.agent_parts import Clock, Parts
from support.agent_process import AgentFolder
from support.exchange_double import KEY
from support.fault_kinds import mixed
from support.paper_exchange import PaperExchange

Start = Callable[[], AbstractAsyncContextManager[Parts]]
STALE_POSITIONS = {"kind": "stale", "match": {"method": "GET", "path_prefix": "/v1/positions"}}
MAX_ATTEMPTS = 60


@pytest.fixture
async def parts(start: Start, folder: AgentFolder) -> AsyncIterator[Parts]:
    async with start() as running:
        yield running


def stop(parts: Parts, folder: AgentFolder) -> None:
    folder.set_mode("Stopped")
    parts.control.refresh()


def open_positions(exchange: PaperExchange) -> dict[str, Decimal]:
    return {market: size for market, size in exchange.positions().items() if size}


def buy_by_hand(exchange: PaperExchange) -> None:
    """Send an order on the account of the agent that is not in its journal."""
    headers = {
        "Authorization": f"Bearer {KEY}",
        "X-Agent-Id": "momentum-0",
        "Idempotency-Key": "by-hand",
    }
    body = {"market": "BTC-USD", "side": "buy", "size": "0.02", "type": "market"}
    httpx.post(f"{exchange.url}/v1/orders", json=body, headers=headers).raise_for_status()


async def test_a_position_in_a_stale_report_is_closed_once(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> None:
    await parts.buy("k1")
    stop(parts, folder)
    exchange.inject_faults([STALE_POSITIONS])
    for _ in range(ABANDON_AFTER_LOOKUPS + 1):
        await parts.shutdown.run_at_exit()
        clock.now += ABANDON_AFTER_S + 1
    assert parts.shutdown.flattened is False
    assert parts.shutdown.incomplete == "open positions: BTC-USD"
    assert open_positions(exchange) == {}
    assert exchange.order_count() == 2
    exchange.remove_faults()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert exchange.order_count() == 2


async def test_a_restart_does_not_close_a_position_again(
    start: Start, folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> None:
    async with start() as before:
        await before.buy("k1")
        stop(before, folder)
        exchange.inject_faults([STALE_POSITIONS])
        await before.shutdown.run_at_exit()
    async with start() as after:
        for _ in range(ABANDON_AFTER_LOOKUPS + 1):
            await after.shutdown.run_at_exit()
            clock.now += ABANDON_AFTER_S + 1
        assert after.shutdown.flattened is False
    assert open_positions(exchange) == {}
    assert exchange.order_count() == 2


async def test_a_position_sold_since_a_stale_report_is_not_sold_again(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange
) -> None:
    await parts.buy("k1")
    await parts.buy("k2")
    exchange.inject_faults([STALE_POSITIONS])
    await parts.buy("k3", side="sell")
    stop(parts, folder)
    await parts.shutdown.run_at_exit()
    assert open_positions(exchange) == {}
    assert exchange.order_count() == 4
    exchange.remove_faults()
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.flattened is True


async def test_a_position_missing_in_a_stale_report_does_not_count_as_closed(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange
) -> None:
    await parts.account.refresh()
    exchange.inject_faults([STALE_POSITIONS])
    await parts.buy("k1")
    stop(parts, folder)
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, open_positions(exchange)) == (
        False,
        {"BTC-USD": Decimal("0.01")},
    )
    exchange.remove_faults()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, open_positions(exchange)) == (True, {})


async def test_a_position_of_another_client_is_closed_after_repeated_reports(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> None:
    await parts.buy("k1")
    buy_by_hand(exchange)
    stop(parts, folder)
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, open_positions(exchange)) == (
        False,
        {"BTC-USD": Decimal("0.02")},
    )
    for _ in range(ABANDON_AFTER_LOOKUPS):
        clock.now += ABANDON_AFTER_S
        await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, open_positions(exchange)) == (True, {})


@pytest.mark.parametrize("seed", range(3))
async def test_under_mixed_faults_all_positions_close_and_no_order_is_sent_twice(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange, clock: Clock, seed: int
) -> None:
    for number, market in enumerate(("BTC-USD", "ETH-USD", "SOL-USD")):
        await parts.buy(f"k{seed}-{number}", market=market)
        await parts.buy(f"r{seed}-{number}", market=market, limit=Decimal("0.01"))
    stop(parts, folder)
    exchange.inject_faults(mixed(0.3))
    for _ in range(MAX_ATTEMPTS):
        await parts.shutdown.run_at_exit()
        clock.now += ABANDON_AFTER_S / ABANDON_AFTER_LOOKUPS
        if parts.shutdown.flattened:
            break
    exchange.remove_faults()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert open_positions(exchange) == {}
    assert {order["status"] for order in exchange.orders()} <= {"filled", "cancelled"}
    assert exchange.order_count() == 9
    assert set(exchange.sent.values()) == {1}

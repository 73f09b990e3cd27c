"""Closing positions at an exchange that tells old ones, or fails in every way: closed once, and never turned round."""

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
MOST_TRIES = 60


@pytest.fixture
async def parts(start: Start, folder: AgentFolder) -> AsyncIterator[Parts]:
    async with start() as running:
        yield running


def stop(parts: Parts, folder: AgentFolder) -> None:
    folder.set_mode("Stopped")
    parts.control.refresh()


def held(exchange: PaperExchange) -> dict[str, Decimal]:
    return {market: size for market, size in exchange.positions().items() if size}


def buy_by_hand(exchange: PaperExchange) -> None:
    """An order on the agent's account that its journal knows nothing of."""
    headers = {
        "Authorization": f"Bearer {KEY}",
        "X-Agent-Id": "momentum-0",
        "Idempotency-Key": "by-hand",
    }
    body = {"market": "BTC-USD", "side": "buy", "size": "0.02", "type": "market"}
    httpx.post(f"{exchange.url}/v1/orders", json=body, headers=headers).raise_for_status()


async def test_a_position_that_is_told_of_for_ever_is_closed_once(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> None:
    await parts.buy("k1")
    stop(parts, folder)
    exchange.break_with([STALE_POSITIONS])
    for _ in range(ABANDON_AFTER_LOOKUPS + 1):
        await parts.shutdown.run_at_exit()
        clock.now += ABANDON_AFTER_S + 1
    assert parts.shutdown.flattened is False
    assert parts.shutdown.incomplete == "open positions: BTC-USD"
    assert held(exchange) == {}
    assert exchange.order_count() == 2
    exchange.mend()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert exchange.order_count() == 2


async def test_a_restart_does_not_close_it_again(
    start: Start, folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> None:
    async with start() as before:
        await before.buy("k1")
        stop(before, folder)
        exchange.break_with([STALE_POSITIONS])
        await before.shutdown.run_at_exit()
    async with start() as after:
        for _ in range(ABANDON_AFTER_LOOKUPS + 1):
            await after.shutdown.run_at_exit()
            clock.now += ABANDON_AFTER_S + 1
        assert after.shutdown.flattened is False
    assert held(exchange) == {}
    assert exchange.order_count() == 2


async def test_a_position_that_was_sold_since_it_was_told_of_is_not_sold_again(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange
) -> None:
    await parts.buy("k1")
    await parts.buy("k2")
    exchange.break_with([STALE_POSITIONS])
    await parts.buy("k3", side="sell")
    stop(parts, folder)
    await parts.shutdown.run_at_exit()
    assert held(exchange) == {}
    assert exchange.order_count() == 4
    exchange.mend()
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.flattened is True


async def test_a_position_that_is_not_told_of_yet_is_not_called_closed(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange
) -> None:
    await parts.account.refresh()
    exchange.break_with([STALE_POSITIONS])
    await parts.buy("k1")
    stop(parts, folder)
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, held(exchange)) == (False, {"BTC-USD": Decimal("0.01")})
    exchange.mend()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, held(exchange)) == (True, {})


async def test_what_another_hand_bought_is_closed_once_it_was_told_of_for_long_enough(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> None:
    await parts.buy("k1")
    buy_by_hand(exchange)
    stop(parts, folder)
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, held(exchange)) == (False, {"BTC-USD": Decimal("0.02")})
    for _ in range(ABANDON_AFTER_LOOKUPS):
        clock.now += ABANDON_AFTER_S
        await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, held(exchange)) == (True, {})


@pytest.mark.parametrize("seed", range(3))
async def test_under_mixed_faults_all_positions_end_closed_and_no_order_is_sent_twice(
    parts: Parts, folder: AgentFolder, exchange: PaperExchange, clock: Clock, seed: int
) -> None:
    for number, market in enumerate(("BTC-USD", "ETH-USD", "SOL-USD")):
        await parts.buy(f"k{seed}-{number}", market=market)
        await parts.buy(f"r{seed}-{number}", market=market, limit=Decimal("0.01"))
    stop(parts, folder)
    exchange.break_with(mixed(0.3))
    for _ in range(MOST_TRIES):
        await parts.shutdown.run_at_exit()
        clock.now += ABANDON_AFTER_S / ABANDON_AFTER_LOOKUPS
        if parts.shutdown.flattened:
            break
    exchange.mend()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert held(exchange) == {}
    assert {order["status"] for order in exchange.orders()} <= {"filled", "cancelled"}
    assert exchange.order_count() == 9
    assert set(exchange.sent.values()) == {1}

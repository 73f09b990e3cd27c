"""Coming to rest: resolving orders, closing positions, and giving up in time."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.port import EscrowRequest
from purpleflea_agent.telemetry.dogstatsd import Emitter
from purpleflea_agent.trading.errors import EscrowUnsettled, OrderRefused, OrderUnsettled
from purpleflea_contract import metrics
from support.agent_parts import PRICE, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import KEY, ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink
from support.waiting import wait_for

MARKETS = ("BTC-USD", "ETH-USD", "SOL-USD")
ESCROW = EscrowRequest(idempotency_key="e1", counterparty_id="agent_b", amount_usd=Decimal(25))


@pytest.fixture
def flatten() -> bool:
    return True


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    flatten: bool,
) -> AsyncIterator[Parts]:
    async with running_parts(
        folder,
        emitter,
        sink,
        endpoints=exchange.endpoints,
        markets=MARKETS,
        flatten=flatten,
    ) as running:
        yield running


def position(exchange: ExchangeDouble) -> Decimal:
    filled = [item for item in exchange.orders.values() if item["status"] == "filled"]
    return sum(
        (Decimal(o["filled_size"]) * (1 if o["side"] == "buy" else -1) for o in filled), Decimal(0)
    )


async def test_positions_are_closed_and_resting_orders_taken_back(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    await parts.buy("k1")
    await parts.buy("k2", limit=PRICE)
    folder.set_mode("Stopped")
    parts.control.refresh()
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.is_drained, parts.shutdown.incomplete) == (True, None)
    assert parts.shutdown.flattened is True
    assert position(exchange) == 0
    assert exchange.orders["k2"]["status"] == "cancelled"
    assert await parts.journal.counts() == {"filled": 2, "cancelled": 1}


@pytest.mark.parametrize("flatten", [False])
async def test_positions_stay_where_the_user_does_not_say_otherwise(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.buy("k1")
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.incomplete, parts.shutdown.flattened) == (None, None)
    assert position(exchange) == Decimal("0.01")


async def test_an_agent_that_was_halted_a_moment_ago_ends_without_a_single_order(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    await parts.buy("k1")
    await parts.buy("k2", limit=PRICE)
    folder.set_mode("Halted")
    await parts.shutdown.run_at_exit()
    assert len(exchange.orders) == 2
    assert exchange.orders["k2"]["status"] == "open"
    assert (parts.shutdown.is_drained, parts.shutdown.flattened) == (True, None)


@pytest.mark.parametrize("mode", ["Halted", "Active"])
async def test_a_stop_that_is_taken_back_ends_the_closing_at_once(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, mode: str
) -> None:
    for number, market in enumerate(MARKETS):
        await parts.buy(f"k{number}", market=market)
    exchange.when_ordered = lambda: folder.set_mode(mode)
    folder.set_mode("Stopped")
    parts.control.refresh()
    watching = asyncio.create_task(parts.shutdown.watch())
    closed = len(MARKETS) + 1
    await asyncio.to_thread(wait_for, lambda: len(exchange.orders) >= closed, what="one closing")
    await asyncio.to_thread(
        wait_for, lambda: not parts.shutdown._lock.locked(), what="no more tries"
    )
    watching.cancel()
    assert parts.control.control.mode == mode
    assert len(exchange.orders) == closed


async def test_a_halt_at_the_end_of_the_process_stops_the_closing(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    for number, market in enumerate(MARKETS):
        await parts.buy(f"k{number}", market=market)
    exchange.when_ordered = lambda: folder.set_mode("Halted")
    await parts.shutdown.run_at_exit()
    assert len(exchange.orders) == len(MARKETS) + 1


async def test_no_new_order_leaves_once_the_process_ends(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    parts.control.end()
    with pytest.raises(OrderRefused, match="stopped"):
        await parts.buy("k1")
    with pytest.raises(OrderRefused, match="stopped"):
        await parts.escrows.create(ESCROW)
    assert (exchange.orders, exchange.escrows) == ({}, {})


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_an_order_that_cannot_be_taken_back_is_said_and_tried_again(
    parts: Parts, exchange: ExchangeDouble, status: int
) -> None:
    await parts.buy("k1", limit=PRICE)
    await parts.buy("k2")
    exchange.faults.cancels_refused_with = status
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.flattened is False
    assert "resting orders: BTC-USD" in str(parts.shutdown.incomplete)
    assert position(exchange) == 0  # that one was refused closes no position
    exchange.faults.cancels_refused_with = 0
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert exchange.orders["k1"]["status"] == "cancelled"


async def test_an_order_that_is_said_to_be_done_counts_as_such_when_it_is_shown_so(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.buy("k1", limit=PRICE)
    exchange.faults.cancels_refused_with = 409
    exchange.faults.hide_orders = True
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.incomplete == "resting orders: BTC-USD"
    exchange.faults.hide_orders = False
    exchange.orders["k1"] |= {"status": "filled", "filled_size": "0.01", "price": str(PRICE)}
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert position(exchange) == 0


async def test_an_escrow_of_unknown_outcome_is_said_too(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_escrow_requests = 1
    with pytest.raises(EscrowUnsettled):
        await parts.escrows.create(ESCROW)
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.incomplete == "escrows of unknown outcome, to: agent_b"


async def test_an_order_of_unknown_outcome_is_resolved_before_positions_are_closed(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_answers_after_commit = 1
    exchange.faults.hide_orders = True
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    exchange.faults.hide_orders = False
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.incomplete is None
    assert position(exchange) == 0
    assert await parts.journal.counts() == {"filled": 2}


async def test_what_cannot_be_resolved_is_said_when_the_time_is_up(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_requests = 1
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.is_drained
    assert parts.shutdown.incomplete == "orders of unknown outcome: BTC-USD"
    assert await parts.journal.counts() == {"written": 1}


async def test_an_exchange_out_of_reach_does_not_hold_the_end_up(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.buy("k1")
    exchange.close()
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.is_drained
    assert "cannot be reached" in str(parts.shutdown.incomplete)


@pytest.mark.parametrize("flatten", [False])
async def test_a_resting_order_is_counted_once_when_it_is_done_and_its_age_is_no_latency(
    parts: Parts, exchange: ExchangeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    await parts.buy("k1", limit=PRICE)
    assert parts.sent(metrics.ORDER_EXECUTIONS) == []
    exchange.orders["k1"] |= {"status": "filled", "filled_size": "0.01", "price": str(PRICE)}
    await parts.orders.settle_unfinished()
    (counted,) = parts.sent(metrics.ORDER_EXECUTIONS)
    assert (counted.values, counted.tag("status")) == ((1.0,), "success")
    (executed,) = [record for record in caplog.records if record.message == "Trade executed"]
    assert not hasattr(executed, "latency_ms")


@pytest.fixture
async def stopped_without_the_exchange(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> AsyncIterator[Parts]:
    """Holds a position, shall stop, and ran out of time: the exchange knows its key no more."""
    await parts.buy("k1")
    exchange.key = "another"
    folder.set_mode("Stopped")
    parts.control.refresh()
    watching = asyncio.create_task(parts.shutdown.watch())
    await asyncio.to_thread(wait_for, lambda: parts.shutdown.is_drained, what="the time to be up")
    yield parts
    watching.cancel()


async def test_a_stopped_agent_goes_on_trying_what_it_could_not_do_in_time(
    stopped_without_the_exchange: Parts, exchange: ExchangeDouble
) -> None:
    shutdown = stopped_without_the_exchange.shutdown
    assert (shutdown.flattened, shutdown.incomplete) == (
        False,
        "401: Unauthorized; open positions: BTC-USD",
    )
    exchange.key = KEY
    await asyncio.to_thread(wait_for, lambda: shutdown.flattened, what="another try")
    assert (shutdown.is_drained, shutdown.incomplete) == (True, None)
    assert position(exchange) == 0


async def test_trading_again_takes_back_what_was_said_of_the_stop(
    stopped_without_the_exchange: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    parts = stopped_without_the_exchange
    folder.set_mode("Active")
    parts.control.refresh()
    await asyncio.to_thread(wait_for, lambda: not parts.shutdown.is_drained, what="the reset")
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (None, None)


async def test_the_end_of_the_process_tries_once_more(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    await parts.buy("k1")
    exchange.key = "another"
    folder.set_mode("Stopped")
    parts.control.refresh()
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.flattened is False
    exchange.key = KEY
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert position(exchange) == 0

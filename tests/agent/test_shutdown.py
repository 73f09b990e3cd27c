"""Shutdown: settling orders, closing positions, and the deadline."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.port import EscrowRequest
from purpleflea_agent.trading.errors import EscrowUnsettled, OrderRefused, OrderUnsettled
from purpleflea_contract import metrics
from purpleflea_sdk.telemetry.dogstatsd import Emitter
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


async def test_positions_are_closed_and_resting_orders_canceled(
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
async def test_positions_stay_open_without_flatten(parts: Parts, exchange: ExchangeDouble) -> None:
    await parts.buy("k1")
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.incomplete, parts.shutdown.flattened) == (None, None)
    assert position(exchange) == Decimal("0.01")


async def test_a_halted_agent_exits_without_sending_an_order(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    await parts.buy("k1")
    await parts.buy("k2", limit=PRICE)
    folder.set_mode("Halted")
    await parts.shutdown.run_at_exit()
    assert len(exchange.orders) == 2
    assert exchange.orders["k2"]["status"] == "cancelled"
    assert (parts.shutdown.is_drained, parts.shutdown.flattened) == (True, None)


@pytest.mark.parametrize("mode", ["Halted", "Active"])
async def test_a_change_of_mode_ends_the_closing_of_positions(
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
        wait_for, lambda: not parts.shutdown._lock.locked(), what="the last attempt"
    )
    watching.cancel()
    assert parts.control.control.mode == mode
    assert len(exchange.orders) == closed


async def test_a_halt_during_the_exit_ends_the_closing_of_positions(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    for number, market in enumerate(MARKETS):
        await parts.buy(f"k{number}", market=market)
    exchange.when_ordered = lambda: folder.set_mode("Halted")
    await parts.shutdown.run_at_exit()
    assert len(exchange.orders) == len(MARKETS) + 1


async def test_no_new_order_is_sent_during_the_exit(parts: Parts, exchange: ExchangeDouble) -> None:
    parts.control.end()
    with pytest.raises(OrderRefused, match="stopped"):
        await parts.buy("k1")
    with pytest.raises(OrderRefused, match="stopped"):
        await parts.escrows.create(ESCROW)
    assert (exchange.orders, exchange.escrows) == ({}, {})


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_an_order_that_cannot_be_canceled_is_reported_and_retried(
    parts: Parts, exchange: ExchangeDouble, status: int
) -> None:
    await parts.buy("k1", limit=PRICE)
    await parts.buy("k2")
    exchange.faults.cancels_refused_with = status
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.flattened is False
    assert "resting orders: BTC-USD" in str(parts.shutdown.incomplete)
    assert position(exchange) == 0  # the refusal did not keep the position open
    exchange.faults.cancels_refused_with = 0
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert exchange.orders["k1"]["status"] == "cancelled"


async def test_an_order_that_is_already_done_is_looked_up(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.buy("k1", limit=PRICE)
    exchange.faults.cancels_refused_with = 409
    exchange.faults.hide_orders = True
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.incomplete == "resting orders: BTC-USD ord_1"
    exchange.faults.hide_orders = False
    exchange.orders["k1"] |= {"status": "filled", "filled_size": "0.01", "price": str(PRICE)}
    await parts.shutdown.run_at_exit()
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (True, None)
    assert position(exchange) == 0


async def test_an_escrow_of_unknown_outcome_is_reported_too(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_escrow_requests = 1
    with pytest.raises(EscrowUnsettled):
        await parts.escrows.create(ESCROW)
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.incomplete == "escrows of unknown outcome, to: agent_b"


async def test_orders_of_unknown_outcome_are_settled_before_positions_close(
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


async def test_unsettled_orders_are_reported_at_the_deadline(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_requests = 1
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.is_drained
    assert parts.shutdown.incomplete == "orders of unknown outcome: BTC-USD"
    assert await parts.journal.counts() == {"written": 1}


async def test_an_unreachable_exchange_does_not_delay_the_exit(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.buy("k1")
    exchange.close()
    await parts.shutdown.run_at_exit()
    assert parts.shutdown.is_drained
    assert "cannot be reached" in str(parts.shutdown.incomplete)


@pytest.mark.parametrize("flatten", [False])
async def test_a_resting_order_is_counted_once_and_has_no_latency(
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
    """An agent with a position in mode Stopped whose deadline has passed, because the exchange refuses its key."""
    await parts.buy("k1")
    exchange.key = "another"
    folder.set_mode("Stopped")
    parts.control.refresh()
    watching = asyncio.create_task(parts.shutdown.watch())
    await asyncio.to_thread(wait_for, lambda: parts.shutdown.is_drained, what="the deadline")
    yield parts
    watching.cancel()


async def test_a_stopped_agent_retries_incomplete_work(
    stopped_without_the_exchange: Parts, exchange: ExchangeDouble
) -> None:
    shutdown = stopped_without_the_exchange.shutdown
    assert (shutdown.flattened, shutdown.incomplete) == (
        False,
        "401: Unauthorized; open positions: BTC-USD",
    )
    exchange.key = KEY
    await asyncio.to_thread(wait_for, lambda: shutdown.flattened, what="another attempt")
    assert (shutdown.is_drained, shutdown.incomplete) == (True, None)
    assert position(exchange) == 0


async def test_the_mode_active_resets_the_result_of_the_stop(
    stopped_without_the_exchange: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    parts = stopped_without_the_exchange
    folder.set_mode("Active")
    parts.control.refresh()
    await asyncio.to_thread(wait_for, lambda: not parts.shutdown.is_drained, what="the reset")
    assert (parts.shutdown.flattened, parts.shutdown.incomplete) == (None, None)


@pytest.mark.parametrize("flatten", [False])
async def test_the_control_file_can_request_to_close_positions(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    await parts.buy("k1")
    watching = asyncio.create_task(parts.shutdown.watch())
    shutdown = parts.shutdown
    try:
        folder.set_mode("Stopped")
        parts.control.refresh()
        await asyncio.to_thread(wait_for, lambda: shutdown.is_drained, what="the drained agent")
        assert shutdown.flattened is None
        assert position(exchange) != 0
        folder.set_mode("Stopped", flatten=True)
        parts.control.refresh()
        await asyncio.to_thread(wait_for, lambda: shutdown.flattened, what="closed positions")
        assert position(exchange) == 0
        assert shutdown.is_drained
        # In the other modes, the field closes no position.
        folder.set_mode("Halted", flatten=True)
        parts.control.refresh()
        assert not parts.control.flatten
        assert not parts.control.may_close
    finally:
        watching.cancel()


async def test_shutdown_is_attempted_again_at_the_exit(
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


async def test_a_defect_in_one_step_keeps_no_position_open(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await parts.buy("k1")

    async def defect() -> None:
        raise ArithmeticError("defect")

    monkeypatch.setattr(parts.orders, "cancel_resting", defect)
    folder.set_mode("Stopped")
    parts.control.refresh()
    await parts.shutdown._retry()
    assert position(exchange) == 0
    assert parts.shutdown.incomplete == "a step failed unexpectedly, see the log"

"""Escrows from their opening to their end: lost answers, restarts, and changes by the counterparty."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.errors import NeverSent
from purpleflea_agent.exchange.port import EscrowRequest
from purpleflea_agent.trading.errors import EscrowUnsettled, KeyReused, OrderRefused
from purpleflea_agent.trading.escrows import LOOKUP_INTERVAL_S
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS, ABANDON_AFTER_S
from purpleflea_contract import metrics
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink
from support.waiting import wait_for

PATHS = {False: "/v1/escrow", True: "/v1/escrow/esc_1/release"}
Start = Callable[[], AbstractAsyncContextManager[Parts]]


@pytest.fixture
def start(
    exchange: ExchangeDouble, folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink
) -> Start:
    clock = Clock()
    return lambda: running_parts(folder, emitter, sink, endpoints=exchange.endpoints, clock=clock)


@pytest.fixture
async def parts(start: Start) -> AsyncIterator[Parts]:
    async with start() as running:
        yield running


def request(key: str = "e1", amount: str = "25.00") -> EscrowRequest:
    return EscrowRequest(idempotency_key=key, counterparty_id="agent_b", amount_usd=Decimal(amount))


def counted(parts: Parts) -> dict[str | None, float]:
    counts: dict[str | None, float] = {}
    for point in parts.sent(metrics.ESCROW_TRANSACTIONS):
        status = point.tag("status")
        counts[status] = counts.get(status, 0) + sum(point.values)
    return counts


async def test_an_escrow_whose_answer_is_lost_is_looked_up_by_key(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_escrow_answers = 1
    escrow = await parts.escrows.create(request())
    assert (escrow.escrow_id, escrow.status) == ("esc_1", "created")
    assert await parts.journal.escrow_counts() == {"created": 1}
    assert exchange.count("POST", "/v1/escrow") == 1
    assert counted(parts) == {"created": 1}


async def test_an_escrow_that_is_not_found_is_abandoned_and_not_sent_again(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_escrow_requests = 1
    for _ in range(2):
        with pytest.raises(EscrowUnsettled):
            await parts.escrows.create(request())
    await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"written": 1}
    parts.clock.set_by = 3600.0  # the wall clock is not used
    for _ in range(ABANDON_AFTER_LOOKUPS):
        await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"written": 1}
    parts.clock.now += ABANDON_AFTER_S + 1
    await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"failed": 1}
    assert exchange.count("POST", "/v1/escrow") == 1
    with pytest.raises(NeverSent):
        await parts.escrows.create(request())
    assert counted(parts) == {"failed": 1}


@pytest.mark.parametrize("is_release", [False, True])
async def test_is_sending_is_true_until_the_outcome_is_known(
    parts: Parts, exchange: ExchangeDouble, is_release: bool
) -> None:
    if is_release:
        await parts.escrows.create(request("e0"))
    arrived = exchange.count("POST", PATHS[is_release])
    exchange.faults.lose_escrow_answers = 1
    sending = asyncio.create_task(
        parts.escrows.release("esc_1") if is_release else parts.escrows.create(request())
    )
    await asyncio.to_thread(
        wait_for, lambda: exchange.count("POST", PATHS[is_release]) > arrived, what="the money"
    )
    assert parts.escrows.is_sending
    await sending
    assert not parts.escrows.is_sending


async def test_one_look_up_does_not_abandon_an_escrow_of_any_age(
    start: Start, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_escrow_answers = 1
    exchange.faults.hide_escrows = True
    async with start() as before:
        with pytest.raises(EscrowUnsettled):
            await before.escrows.create(request())
        before.clock.now += 100 * ABANDON_AFTER_S
        await before.escrows.settle_unfinished()
    async with start() as after:
        await after.escrows.settle_unfinished()
        exchange.faults.hide_escrows = False
        await after.escrows.settle_unfinished()
        assert await after.journal.escrow_counts() == {"created": 1}
        assert counted(after) == {"created": 1}


async def test_an_unknown_outcome_is_settled_after_a_restart(
    start: Start, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_escrow_answers = 1
    exchange.faults.hide_escrows = True
    async with start() as before:
        with pytest.raises(EscrowUnsettled):
            await before.escrows.create(request())
    exchange.faults.hide_escrows = False
    async with start() as after:
        await after.escrows.settle_unfinished()
        assert await after.journal.escrow_counts() == {"created": 1}
        assert counted(after) == {"created": 1}


async def test_the_end_of_an_open_escrow_is_observed_after_a_restart(
    start: Start, exchange: ExchangeDouble
) -> None:
    async with start() as before:
        await before.escrows.create(request())
    exchange.escrows["esc_1"]["status"] = "released"  # by another client
    async with start() as after:
        await after.escrows.settle_unfinished()
        await after.escrows.settle_unfinished()
        assert await after.journal.escrow_counts() == {"released": 1}
        assert counted(after) == {"created": 1, "completed": 1}
        (amount,) = after.sent(metrics.ESCROW_AMOUNT)
        assert (amount.values, amount.tag("status")) == ((25.0,), "completed")


async def test_an_open_escrow_is_looked_up_once_a_minute(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.escrows.create(request())
    for _ in range(5):
        await parts.escrows.settle_unfinished()
    assert exchange.count("GET", "/v1/escrow/esc_1") == 0
    parts.clock.now += LOOKUP_INTERVAL_S
    for _ in range(5):
        await parts.escrows.settle_unfinished()
    assert exchange.count("GET", "/v1/escrow/esc_1") == 1


async def test_a_release_whose_answer_is_lost_is_counted_once(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.escrows.create(request())
    exchange.faults.lose_escrow_answers = 1
    assert (await parts.escrows.release("esc_1")).status == "released"
    parts.clock.now += LOOKUP_INTERVAL_S
    await parts.escrows.settle_unfinished()
    assert counted(parts) == {"created": 1, "completed": 1}
    assert exchange.count("POST", "/v1/escrow/esc_1/release") == 1


async def test_a_cancelled_escrow_has_no_amount(parts: Parts) -> None:
    await parts.escrows.create(request())
    await parts.escrows.cancel("esc_1")
    assert counted(parts) == {"created": 1, "cancelled": 1}
    assert parts.sent(metrics.ESCROW_AMOUNT) == []


async def test_an_idempotency_key_belongs_to_one_escrow(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    first = await parts.escrows.create(request())
    assert await parts.escrows.create(request()) == first
    with pytest.raises(KeyReused):
        await parts.escrows.create(request(amount="26.00"))
    assert exchange.count("POST", "/v1/escrow") == 1


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
async def test_no_money_leaves_unless_the_mode_is_active(
    parts: Parts, folder: AgentFolder, mode: str
) -> None:
    await parts.escrows.create(request())
    folder.set_mode(mode)
    with pytest.raises(OrderRefused, match=mode.lower()):
        await parts.escrows.create(request("e2"))
    with pytest.raises(OrderRefused, match=mode.lower()):
        await parts.escrows.release("esc_1")
    assert (await parts.escrows.cancel("esc_1")).status == "cancelled"

"""Unknown outcomes: frozen markets, late appearances, keys that may be sent again, the limit of orders per minute."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.errors import NeverSent, Refused
from purpleflea_agent.exchange.port import EscrowRequest
from purpleflea_agent.trading.errors import EscrowUnsettled, KeyReused, OrderRefused, OrderUnsettled
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS, ABANDON_AFTER_S
from purpleflea_agent.trading.safety_limits import GIVEN_UP_INTERVAL_S, GIVEN_UP_LOOKUP_S
from purpleflea_contract.settings import Risk
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import KEY, ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

LIMIT = 3
Start = Callable[[], AbstractAsyncContextManager[Parts]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    clock: Clock,
) -> Start:
    return lambda: running_parts(
        folder,
        emitter,
        sink,
        endpoints=exchange.endpoints,
        clock=clock,
        markets=("BTC-USD", "ETH-USD"),
        limits=Risk(max_orders_per_minute=LIMIT),
    )


@pytest.fixture
async def parts(start: Start) -> AsyncIterator[Parts]:
    async with start() as running:
        yield running


def escrow(amount: str = "25") -> EscrowRequest:
    return EscrowRequest(
        idempotency_key="e1", counterparty_id="agent_b", amount_usd=Decimal(amount)
    )


async def look_up(parts: Parts) -> None:
    for _ in range(ABANDON_AFTER_LOOKUPS):
        await parts.orders.settle_unfinished()
        await parts.escrows.settle_unfinished()


async def lose(parts: Parts, exchange: ExchangeDouble) -> None:
    """Send an order and an escrow that take effect, and that the exchange neither answers nor shows."""
    exchange.faults.lose_answers_after_commit = exchange.faults.lose_escrow_answers = 1
    exchange.faults.hide_orders = exchange.faults.hide_escrows = True
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    with pytest.raises(EscrowUnsettled):
        await parts.escrows.create(escrow())


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_an_unknown_order_freezes_its_market_for_five_minutes(
    start: Start, exchange: ExchangeDouble, clock: Clock, is_restarted: bool
) -> None:
    assert ABANDON_AFTER_S >= 300
    async with start() as parts:
        await lose(parts, exchange)
        if not is_restarted:
            await frozen_until_the_window_ends(parts, clock)
    if is_restarted:
        async with start() as parts:
            await frozen_until_the_window_ends(parts, clock)


async def frozen_until_the_window_ends(parts: Parts, clock: Clock) -> None:
    await look_up(parts)
    clock.now += ABANDON_AFTER_S - 1
    await look_up(parts)
    with pytest.raises(OrderRefused, match="order_pending"):
        await parts.buy("k2")
    await parts.buy("k3", market="ETH-USD")
    clock.now += 2
    await look_up(parts)
    await parts.buy("k4")
    assert await parts.journal.counts() == {"failed": 1, "filled": 2}
    assert await parts.journal.escrow_counts() == {"failed": 1}


async def test_a_given_up_order_or_escrow_that_appears_late_corrects_the_books(
    parts: Parts, exchange: ExchangeDouble, clock: Clock
) -> None:
    await parts.account.refresh()
    await lose(parts, exchange)
    await look_up(parts)
    clock.now += ABANDON_AFTER_S + 1
    await look_up(parts)
    assert (await parts.journal.counts(), await parts.journal.escrow_counts()) == (
        {"failed": 1},
        {"failed": 1},
    )
    assert (await parts.journal.today())[1]["failed"] == 1
    before = exchange.count("GET", "/v1/orders")
    await look_up(parts)  # not more often than once per interval
    assert exchange.count("GET", "/v1/orders") <= before + 1
    exchange.faults.hide_orders = exchange.faults.hide_escrows = False
    clock.now += GIVEN_UP_INTERVAL_S
    await look_up(parts)
    assert (await parts.journal.counts(), await parts.journal.escrow_counts()) == (
        {"filled": 1},
        {"created": 1},
    )
    today = (await parts.journal.today())[1]
    assert (today["failed"], today["filled"], today["fees_usd"]) == (0, 1, Decimal("0.10"))
    await parts.account.refresh()
    assert parts.account.safe_close_size("BTC-USD") == Decimal("0.01")
    assert exchange.count("POST", "/v1/orders") == exchange.count("POST", "/v1/escrow") == 1


async def test_a_given_up_order_is_looked_up_after_a_restart_and_not_without_end(
    start: Start, exchange: ExchangeDouble, clock: Clock
) -> None:
    async with start() as parts:
        await lose(parts, exchange)
        await look_up(parts)
        clock.now += ABANDON_AFTER_S + 1
        await look_up(parts)
    async with start() as parts:
        before = exchange.count("GET", "/v1/orders")
        await look_up(parts)
        assert exchange.count("GET", "/v1/orders") == before + 1
        with pytest.raises(NeverSent):
            await parts.buy("k1")  # never sent again
        clock.now += GIVEN_UP_LOOKUP_S
        await look_up(parts)
        assert exchange.count("GET", "/v1/orders") == before + 1
    assert exchange.count("POST", "/v1/orders") == 1


@pytest.mark.parametrize("cause", ["429", "401", "no key"])
async def test_what_had_no_effect_may_be_sent_again_under_its_key(
    parts: Parts, exchange: ExchangeDouble, folder: AgentFolder, cause: str
) -> None:
    await parts.account.refresh()
    for attempt in range(2):
        if cause == "429":
            exchange.faults.status_before_commit = [429]
            exchange.faults.escrow_status_before_commit = [429]
        elif cause == "401":
            exchange.key = "another"
        else:
            folder.key_file.write_text("")
        with pytest.raises((Refused, NeverSent)):
            await parts.buy("k1")
        with pytest.raises((Refused, NeverSent)):
            await parts.escrows.create(escrow())
        assert await parts.journal.counts() == {"failed": 1}, attempt
        assert await parts.journal.escrow_counts() == {"failed": 1}, attempt
    with pytest.raises(KeyReused):
        await parts.buy("k1", side="sell")
    with pytest.raises(KeyReused):
        await parts.escrows.create(escrow("26"))
    exchange.key = KEY
    folder.key_file.write_text(KEY)
    parts.clock.now += 61
    await parts.account.refresh()
    await parts.buy("k1")
    await parts.escrows.create(escrow())
    assert (list(exchange.orders), len(exchange.escrows)) == (["k1"], 1)
    assert await parts.journal.counts() == {"filled": 1}
    assert await parts.journal.escrow_counts() == {"created": 1}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_a_key_whose_request_was_refused_for_good_is_not_sent_again(
    parts: Parts, exchange: ExchangeDouble, status: int
) -> None:
    exchange.faults.status_before_commit = [status]
    with pytest.raises(Refused):
        await parts.buy("k1")
    with pytest.raises(NeverSent):
        await parts.buy("k1")
    assert exchange.count("POST", "/v1/orders") == 1


@pytest.mark.parametrize("step", [-86_400.0, -61.0, -30.0, 0.0, 61.0, 86_400.0])
async def test_a_step_of_the_wall_clock_lifts_no_limit_of_orders_per_minute(
    parts: Parts, clock: Clock, step: float
) -> None:
    for number in range(LIMIT):
        await parts.buy(f"k{number}")
        clock.set_by += step
    with pytest.raises(OrderRefused, match="max_orders_per_minute"):
        await parts.buy("more")
    clock.now += 59
    with pytest.raises(OrderRefused, match="max_orders_per_minute"):
        await parts.buy("more")
    clock.now += 2
    await parts.buy("more")


@pytest.mark.parametrize("step", [-50.0, 0.0, 50.0])
async def test_the_limit_of_orders_per_minute_survives_a_restart_with_a_clock_step(
    start: Start, clock: Clock, step: float
) -> None:
    async with start() as parts:
        for number in range(LIMIT):
            await parts.buy(f"k{number}")
    clock.set_by += step
    async with start() as parts:
        with pytest.raises(OrderRefused, match="max_orders_per_minute"):
            await parts.buy("more")
        clock.now += 61
        await parts.buy("more")

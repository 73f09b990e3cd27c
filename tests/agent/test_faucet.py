"""Faucet claims: their conditions and frequency, and that trading does not wait for them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest

from purpleflea_agent.trading.faucet import MAX_PAUSE_S, PAUSE_AFTER_CLAIM_S, PAUSE_AFTER_FAILURE_S
from purpleflea_contract import metrics
from purpleflea_contract.settings import Faucet
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

LOW, ENOUGH = Decimal("49.99"), Decimal(50)
CLAIM = ("POST", "/faucet/claim")
Start = Callable[..., AbstractAsyncContextManager[Parts]]


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
    return lambda **settings: running_parts(
        folder,
        emitter,
        sink,
        endpoints=exchange.endpoints,
        clock=clock,
        faucet=Faucet(**settings),
    )


async def consider(parts: Parts, balance: Decimal = LOW) -> None:
    parts.faucet.consider(balance)
    await parts.faucet.finish()


def outcomes(parts: Parts) -> list[str | None]:
    return [point.tag("status") for point in parts.sent(metrics.FAUCET_CLAIMS)]


async def test_it_claims_below_the_threshold_and_only_there(
    start: Start, exchange: ExchangeDouble
) -> None:
    async with start() as parts:
        await consider(parts, ENOUGH)
        assert exchange.claims == 0
        await consider(parts, LOW)
        assert exchange.claims == 1
        assert outcomes(parts) == ["claimed"]


async def test_it_claims_once_per_window_even_after_a_restart(
    start: Start, exchange: ExchangeDouble, clock: Clock
) -> None:
    async with start() as parts:
        await consider(parts)
        await consider(parts)
    async with start() as parts:
        await consider(parts)
        assert exchange.count(*CLAIM) == 1
        clock.now += PAUSE_AFTER_CLAIM_S
        await consider(parts)
        assert exchange.count(*CLAIM) == 2


async def test_retry_after_is_honored_even_after_a_restart(
    start: Start, exchange: ExchangeDouble, clock: Clock
) -> None:
    exchange.faults.faucet_retry_after_s = 86_000
    async with start() as parts:
        await consider(parts)
        assert outcomes(parts) == ["refused"]
    exchange.faults.faucet_retry_after_s = 0
    async with start() as parts:
        clock.now += 85_999
        await consider(parts)
        assert exchange.count(*CLAIM) == 1
        clock.now += 1
        await consider(parts)
        assert (exchange.count(*CLAIM), exchange.claims) == (2, 1)


async def test_an_unreachable_faucet_is_retried_soon_and_counted_as_failed(
    start: Start, exchange: ExchangeDouble, clock: Clock
) -> None:
    async with start() as parts:
        exchange.close()
        await consider(parts)
        await consider(parts)
        clock.now += PAUSE_AFTER_FAILURE_S
        await consider(parts)
        assert sum(sum(p.values) for p in parts.sent(metrics.FAUCET_CLAIMS)) == 2
        assert set(outcomes(parts)) == {"failed"}


async def test_a_clock_that_was_far_ahead_does_not_prevent_claims(
    start: Start, exchange: ExchangeDouble, clock: Clock
) -> None:
    async with start() as parts:
        clock.now += 2 * MAX_PAUSE_S
        await consider(parts)
        clock.now -= 2 * MAX_PAUSE_S
        await consider(parts)
        assert exchange.count(*CLAIM) == 2


async def test_a_faucet_payment_changes_neither_loss_nor_profit(
    start: Start, exchange: ExchangeDouble
) -> None:
    async with start() as parts:
        await parts.account.refresh()
        exchange.equity_usd -= 1000
        await parts.account.refresh()
        assert parts.account.drawdown_pct == 10
        await consider(parts)
        await parts.account.refresh()
        assert parts.account.peak_equity_usd == 10_100
        assert parts.account.portfolio.equity_usd == 9_100
    async with start() as after:
        await after.account.refresh()
        assert after.account.peak_equity_usd == 10_100


async def test_consider_returns_before_the_faucet_answers(
    start: Start, exchange: ExchangeDouble
) -> None:
    async with start() as parts:
        for _ in range(10):
            parts.faucet.consider(LOW)
        assert exchange.count(*CLAIM) == 0
        await parts.faucet.finish()
        assert exchange.count(*CLAIM) == 1


async def test_it_does_not_claim_if_disabled_or_stopped(
    start: Start, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    async with start(auto_claim=False) as parts:
        await consider(parts)
    async with start() as parts:
        folder.set_mode("Stopped")
        parts.control.refresh()
        await consider(parts)
        assert exchange.count(*CLAIM) == 0
        folder.set_mode("Halted")
        parts.control.refresh()
        await consider(parts)
        assert exchange.claims == 1

"""Heartbeats: one for each trading interval that was completed, none for an interval that was not."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest
from starlette.responses import Response

from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_contract import metrics
from purpleflea_contract.settings import Settings
from purpleflea_sdk.telemetry import drop_counters
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

MARKETS = ("BTC-USD", "ETH-USD")


@dataclass(frozen=True, kw_only=True)
class Trial:
    parts: Parts
    exchange: ExchangeDouble
    folder: AgentFolder
    loop: TradingLoop

    async def heartbeats(self) -> float:
        """Heartbeats of one interval."""
        await self.loop.trade_once()
        return sum(sum(point.values) for point in self.parts.sent(metrics.HEARTBEAT))


@pytest.fixture
def strategy() -> Callable[[Sequence[Decimal]], Decimal]:
    return lambda _: Decimal(1)


@pytest.fixture
async def trial(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    strategy: Callable[[Sequence[Decimal]], Decimal],
) -> AsyncIterator[Trial]:
    endpoints = exchange.endpoints
    settings = Settings.model_validate(
        {"strategy": "momentum", "markets": MARKETS, "trading": {"orderSize": "0.01"}}
    )
    async with running_parts(
        folder, emitter, sink, endpoints=endpoints, clock=Clock(), markets=MARKETS
    ) as parts:
        loop = TradingLoop(
            settings,
            strategy=strategy,
            exchange=parts.exchange,
            account=parts.account,
            orders=parts.orders,
            faucet=parts.faucet,
        )
        yield Trial(parts=parts, exchange=exchange, folder=folder, loop=loop)


async def test_a_completed_interval_sends_one(trial: Trial) -> None:
    assert await trial.heartbeats() == 1
    assert len(trial.exchange.orders) == 2


def halt(trial: Trial) -> None:
    trial.folder.set_mode("Halted")


def reject(trial: Trial) -> None:
    trial.exchange.faults.reject = 2


def lose_an_order(trial: Trial) -> None:
    trial.exchange.faults.lose_requests = 1


def fail_one_market(trial: Trial) -> None:
    trial.exchange.faults.candles_fail = 1


@pytest.mark.parametrize("change", [halt, reject, lose_an_order, fail_one_market])
async def test_an_interval_without_a_fill_in_every_market_is_completed_too(
    trial: Trial, change: Callable[[Trial], None]
) -> None:
    change(trial)
    assert await trial.heartbeats() == 1


def fail_the_account(trial: Trial) -> None:
    trial.exchange.faults.positions_fail = 1


def fail_every_market(trial: Trial) -> None:
    trial.exchange.faults.candles_fail = 2


def answer_with_nonsense(trial: Trial) -> None:
    trial.exchange.gateway = lambda _, __: Response("<html>", status_code=404)


def refuse_the_key(trial: Trial) -> None:
    trial.exchange.key = "another"


def remove_the_key(trial: Trial) -> None:
    trial.folder.key_file.unlink()


def stop_serving(trial: Trial) -> None:
    trial.exchange.close()


def fill_the_disk(trial: Trial) -> None:
    trial.parts.journal._store._database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON orders BEGIN SELECT RAISE(FAIL, 'no room'); END"
    )


def stop_the_loop(trial: Trial) -> None:
    trial.exchange.when_ordered = trial.loop.stop


@pytest.mark.parametrize(
    "change",
    [
        fail_the_account,
        fail_every_market,
        answer_with_nonsense,
        refuse_the_key,
        remove_the_key,
        stop_serving,
        fill_the_disk,
        stop_the_loop,
    ],
)
async def test_an_interval_that_was_not_completed_sends_none(
    trial: Trial, change: Callable[[Trial], None]
) -> None:
    change(trial)
    assert await trial.heartbeats() == 0


@pytest.mark.parametrize("strategy", [lambda _: Decimal(1) / Decimal(0)])
async def test_a_strategy_that_fails_sends_none(trial: Trial) -> None:
    assert await trial.heartbeats() == 0


async def test_dropped_telemetry_is_reported_without_a_heartbeat_too(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trial.loop.trade_once()
    trial.parts.sent(metrics.HEARTBEAT)
    monkeypatch.setitem(drop_counters._counters, "logs", lambda: 3)
    trial.exchange.faults.positions_fail = 1
    await trial.loop.trade_once()
    points = trial.parts.sent(metrics.TELEMETRY_DROPPED)
    assert {point.tag("signal"): point.values for point in points}["logs"] == (3.0,)

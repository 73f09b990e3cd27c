"""Failures in trading intervals: their classes in the metric, their log events, and the pauses after them."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from starlette.responses import Response

from purpleflea_agent.trading.loop import RETRY_LIMIT, TradingLoop
from purpleflea_contract import events, metrics
from purpleflea_contract.settings import Settings
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

MARKETS = ("BTC-USD", "ETH-USD")


@dataclass(kw_only=True)
class Trial:
    parts: Parts
    exchange: ExchangeDouble
    folder: AgentFolder
    loop: TradingLoop
    failing_calls: int = 0
    """Calls of the strategy that fail."""

    def signal(self, _: Sequence[Decimal]) -> Decimal:
        if self.failing_calls:
            self.failing_calls -= 1
            raise ZeroDivisionError("the strategy has a defect")
        return Decimal(0)

    def counted(self) -> dict[str | None, float]:
        """Failures by class, and heartbeats."""
        points = self.parts.sent(metrics.INTERVAL_FAILURES)
        counts = {point.tag("error_type"): sum(point.values) for point in points}
        beats = sum(sum(point.values) for point in self.parts.sent(metrics.HEARTBEAT))
        return counts | ({"heartbeat": beats} if beats else {})


@pytest.fixture
async def trial(
    exchange: ExchangeDouble, folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink
) -> AsyncIterator[Trial]:
    settings = Settings.model_validate({"strategy": "momentum", "markets": MARKETS})
    async with running_parts(
        folder,
        emitter,
        sink,
        endpoints=exchange.endpoints,
        clock=Clock(),
        markets=MARKETS,
    ) as parts:
        loop = TradingLoop(
            settings,
            strategy=lambda closes: made.signal(closes),
            exchange=parts.exchange,
            account=parts.account,
            orders=parts.orders,
            faucet=parts.faucet,
        )
        made = Trial(parts=parts, exchange=exchange, folder=folder, loop=loop)
        yield made


def nothing(trial: Trial) -> None:
    """Change nothing."""


def fail_once(trial: Trial) -> None:
    trial.failing_calls = 1


def fail_always(trial: Trial) -> None:
    trial.failing_calls = 1_000


def refuse_the_key(trial: Trial) -> None:
    trial.exchange.key = "another"


def forbid_the_key(trial: Trial) -> None:
    trial.exchange.gateway = lambda _, __: Response("forbidden", status_code=403)


def remove_the_key(trial: Trial) -> None:
    trial.folder.key_file.unlink()


def stop_serving(trial: Trial) -> None:
    trial.exchange.close()


def fail_upstream(trial: Trial) -> None:
    trial.exchange.gateway = lambda _, __: Response("bad gateway", status_code=502)


def price_of_zero(trial: Trial) -> None:
    trial.exchange.closes = ("60000", "0")


def fail_one_market(trial: Trial) -> None:
    trial.exchange.faults.candles_fail = 1


def break_the_journal(trial: Trial) -> None:
    trial.parts.journal._store._database.execute("DROP TABLE facts")


TABLE: dict[Callable[[Trial], None], dict[str, float]] = {
    nothing: {"heartbeat": 1},
    # The other market was traded, so the interval is completed; the failure is visible all the same.
    fail_once: {"strategy": 1, "heartbeat": 1},
    fail_always: {"strategy": 1},
    refuse_the_key: {"api_key": 1},
    forbid_the_key: {"api_key": 1},
    remove_the_key: {"api_key": 1},
    stop_serving: {"connection": 1},
    fail_upstream: {"upstream": 1},
    price_of_zero: {"market_data": 1},
    fail_one_market: {"upstream": 1, "heartbeat": 1},
    break_the_journal: {"journal": 1},
}


@pytest.mark.parametrize(
    ("change", "expected"), TABLE.items(), ids=[change.__name__ for change in TABLE]
)
async def test_a_failure_is_counted_once_per_interval_by_class(
    trial: Trial, change: Callable[[Trial], None], expected: dict[str, float]
) -> None:
    change(trial)
    await trial.loop.trade_once()
    assert trial.counted() == expected


async def test_a_strategy_that_always_raises_is_counted_in_each_interval(trial: Trial) -> None:
    trial.failing_calls = 1_000
    for _ in range(3):
        await trial.loop.trade_once()
    assert trial.counted() == {"strategy": 3}


async def test_failures_have_log_events_with_class_and_market(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fail_one_market(trial)
    await trial.loop.trade_once()
    refuse_the_key(trial)
    await trial.loop.trade_once()
    found = {
        vars(record)[events.EVENT_TYPE]: vars(record)
        for record in caplog.records
        if hasattr(record, events.EVENT_TYPE)
    }
    skipped = found[events.MARKET_SKIPPED.name]
    assert (skipped["market"], skipped["error_type"]) == ("BTC-USD", "upstream")
    assert found[events.INTERVAL_FAILED.name]["error_type"] == "api_key"


async def test_the_pauses_grow_while_the_account_cannot_be_read(trial: Trial) -> None:
    refuse_the_key(trial)
    assert [trial.loop._period(failures).total_seconds() for failures in range(7)] == [
        *(1, 2, 4, 8),
        *[RETRY_LIMIT.total_seconds()] * 3,
    ]
    await trial.loop.trade_once()
    assert "401" in (trial.parts.account.problem or "")


async def test_a_ready_agent_keeps_its_interval_if_that_is_longer(trial: Trial) -> None:
    await trial.loop.trade_once()
    assert trial.loop._period(0) == trial.loop._period(1_000) == timedelta(seconds=15)

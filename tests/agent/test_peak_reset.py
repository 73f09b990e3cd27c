"""The peak of the equity: an equity above it counts once confirmed, and a wrong peak can be reset on request."""

from decimal import Decimal

import pytest

from purpleflea_agent.trading.errors import OrderRefused
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

FIRST, LATER = "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z"


class Trial:
    """Starts of one agent on the same journal."""

    def __init__(
        self, folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink, exchange: ExchangeDouble
    ) -> None:
        self.folder, self.emitter, self.sink, self.exchange = folder, emitter, sink, exchange

    async def start(self, *equities: int, reset_at: str | None = None) -> Decimal:
        """Start the agent, let it read each equity, and return the peak."""
        async with running_parts(
            self.folder,
            self.emitter,
            self.sink,
            endpoints=self.exchange.endpoints,
            peak_reset_at=reset_at,
        ) as parts:
            for equity in equities:
                self.exchange.equity_usd = Decimal(equity)
                await parts.account.refresh()
            return parts.account.peak_equity_usd

    async def may_buy(self, equity: int, reset_at: str | None) -> bool:
        self.exchange.equity_usd = Decimal(equity)
        async with running_parts(
            self.folder,
            self.emitter,
            self.sink,
            endpoints=self.exchange.endpoints,
            peak_reset_at=reset_at,
        ) as parts:
            try:
                await parts.buy(f"k{len(self.exchange.orders)}")
            except OrderRefused:
                return False
            return True


@pytest.fixture
def trial(
    folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink, exchange: ExchangeDouble
) -> Trial:
    return Trial(folder, emitter, sink, exchange)


async def test_a_peak_counts_when_two_reads_in_a_row_confirm_it(trial: Trial) -> None:
    assert await trial.start(10_000, 90_000, 10_000) == 10_000
    assert await trial.start(90_000, 10_000, 90_000, 10_000) == 10_000
    assert await trial.start(12_000, 11_000) == 11_000


async def test_a_wrong_peak_is_reset_once_per_request_and_recorded(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    assert await trial.start(90_000, 90_000) == 90_000
    assert not await trial.may_buy(50_000, None)
    assert await trial.may_buy(50_000, FIRST)
    (record,) = [vars(item) for item in caplog.records if "former_peak_usd" in vars(item)]
    assert (str(record["former_peak_usd"]), str(record["equity_usd"])) == ("90000", "50000")
    assert record["reset_at"] == FIRST
    # A restart, or an earlier revision of the spec, is not a new request.
    for reset_at in (FIRST, "2025-12-31T23:59:59Z", None):
        assert await trial.start(20_000, reset_at=reset_at) == 50_000
    assert await trial.start(20_000, reset_at=LATER) == 20_000


async def test_a_reset_waits_for_an_equity_that_can_be_read(trial: Trial) -> None:
    await trial.start(90_000)
    async with running_parts(
        trial.folder,
        trial.emitter,
        trial.sink,
        endpoints=trial.exchange.endpoints,
        peak_reset_at=FIRST,
    ) as parts:
        trial.exchange.equity_usd = Decimal("NaN")
        await parts.account.refresh()
        trial.exchange.equity_usd = Decimal(40_000)
        await parts.account.refresh()
        assert parts.account.peak_equity_usd == 40_000

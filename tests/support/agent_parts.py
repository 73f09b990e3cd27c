"""The parts of an agent inside the test's process: a real journal, real HTTP to the exchange double, a test clock."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import httpx2

from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import OrderRequest, Side
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.faucet import FaucetClient
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_agent.trading.shutdown import Shutdown
from purpleflea_contract.metrics import Metric
from purpleflea_contract.settings import Endpoints, Faucet, Risk, TradingSettings
from purpleflea_sdk.control import ControlFile
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_process import AgentFolder
from support.receivers.dogstatsd import DogStatsdSink, Point

PRICE = Decimal(64900)
ANSWER_TIMEOUT_S = 1.0


class Clock:
    """A wall clock and a monotonic clock. `now` advances both; `set_by` changes the wall clock only."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.set_by = 0.0

    def __call__(self) -> float:
        """Return the wall clock."""
        return self.now + self.set_by

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return self.now


@dataclass(kw_only=True)
class Parts:
    """All parts of one agent."""

    exchange: SeedExchange
    journal: Journal
    account: Account
    control: ControlFile
    orders: OrderManager
    escrows: EscrowManager
    faucet: FaucetClient
    shutdown: Shutdown
    clock: Clock
    emitter: Emitter
    sink: DogStatsdSink

    async def buy(
        self, key: str, *, market: str = "BTC-USD", side: Side = "buy", limit: Decimal | None = None
    ) -> None:
        """Buy or sell a small size."""
        request = OrderRequest(
            idempotency_key=key,
            market=market,
            side=side,
            size=Decimal("0.01"),
            type="limit" if limit else "market",
            price=limit,
        )
        await self.orders.place(request, reference_price=PRICE)

    def sent(self, metric: Metric) -> list[Point]:
        """Return the points of a metric so far."""
        self.emitter.flush()
        self.sink.catch_up()
        return self.sink.of(metric.name)


@contextlib.asynccontextmanager
async def running_parts(
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    *,
    endpoints: dict[str, str],
    clock: Clock | None = None,
    markets: Sequence[str] = ("BTC-USD",),
    limits: Risk | None = None,
    flatten: bool = True,
    faucet: Faucet | None = None,
    trading: TradingSettings | None = None,
    peak_reset_at: str | None = None,
) -> AsyncIterator[Parts]:
    """Open the parts on the journal of a folder; a second call is a restart."""
    clock, limits = clock or Clock(), limits or Risk(max_escrow_usd="100000000000")
    exchange = SeedExchange(
        Endpoints(**endpoints),
        key_file=KeyFile(folder.key_file),
        agent_id="momentum-0",
        timeout=httpx2.Timeout(ANSWER_TIMEOUT_S),
    )
    journal = Journal(folder.state, clock=clock, monotonic=clock.monotonic)
    control = ControlFile(folder.config / "control.json")
    account = Account(
        exchange=exchange,
        journal=journal,
        markets=markets,
        balance_threshold_usd=Decimal(0),
        peak_reset_at=peak_reset_at,
        monotonic=clock.monotonic,
    )
    orders = OrderManager(
        exchange=exchange,
        journal=journal,
        account=account,
        control=control,
        limits=limits,
        trading=trading,
        lookup_delays_s=(0.0, 0.05),
        clock=clock,
        monotonic=clock.monotonic,
    )
    escrows = EscrowManager(
        exchange=exchange,
        journal=journal,
        control=control,
        limits=limits,
        trading=trading,
        lookup_delays_s=(0.0, 0.05),
        monotonic=clock.monotonic,
    )
    faucets = FaucetClient(
        faucet or Faucet(below_usd="20000"),
        exchange=exchange,
        journal=journal,
        control=control,
        clock=clock,
    )
    shutdown = Shutdown(
        orders=orders,
        escrows=escrows,
        journal=journal,
        account=account,
        control=control,
        flatten=flatten,
        limit_s=1.0,
        retry_s=0.0,
    )
    yield Parts(
        exchange=exchange,
        journal=journal,
        account=account,
        control=control,
        orders=orders,
        escrows=escrows,
        faucet=faucets,
        shutdown=shutdown,
        clock=clock,
        emitter=emitter,
        sink=sink,
    )
    await faucets.stop()
    await exchange.close()
    await journal.close()

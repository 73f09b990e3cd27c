"""Thousands of orders with all faults of the exchange: none is sent twice, and none stays unsettled."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal

import httpx
import pytest

from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import OrderRequest, Side
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_S
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_contract.settings import Endpoints, Risk
from purpleflea_sdk.control import ControlFile
from support.agent_process import AgentFolder
from support.fault_kinds import mixed
from support.paper_exchange import PaperExchange

MARKETS = ("BTC-USD", "ETH-USD", "SOL-USD")
SHARE = 0.2
TIMEOUT = httpx.Timeout(0.1)
INTERVAL_S = 5.0


@dataclass
class Clocks:
    """A wall clock and a monotonic clock that the test advances together."""

    now: float = 0.0

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now


@dataclass(kw_only=True)
class Trader:
    """Sends orders as the trading loop does: first settles open orders, then sends one order per market."""

    orders: OrderManager
    journal: Journal
    clocks: Clocks
    outcomes: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    async def interval(self) -> None:
        self.clocks.now += INTERVAL_S
        try:
            await self.orders.settle_unfinished()
        except ExchangeError as error:
            self.outcomes[f"settling: {type(error).__name__}"] += 1
        for market in MARKETS:
            await self.order(market)

    async def settle(self) -> None:
        """Run intervals without new orders until no outcome is unknown."""
        while (await self.journal.counts()).get("written"):
            self.clocks.now += INTERVAL_S
            await self.orders.settle_unfinished()

    async def order(self, market: str) -> None:
        """Send one order and count its outcome."""
        side: Side = "sell" if self.sent % 2 else "buy"
        request = OrderRequest(
            idempotency_key=f"order-{self.sent}", market=market, side=side, size=Decimal("0.01")
        )
        try:
            order = await self.orders.place(request, reference_price=Decimal(1))
        except OrderRefused as refused:
            self.outcomes[refused.reason] += 1  # nothing was written
            return
        except (OrderUnsettled, ExchangeError) as error:
            self.outcomes[type(error).__name__] += 1
        else:
            self.outcomes[order.status.value] += 1
        if await self.journal.entry(request.idempotency_key) is not None:
            self.sent += 1


@pytest.fixture
async def trader(exchange: PaperExchange, folder: AgentFolder) -> AsyncIterator[Trader]:
    clocks = Clocks()
    adapter = SeedExchange(
        Endpoints(**exchange.endpoints),
        key_file=KeyFile(folder.key_file),
        agent_id="momentum-0",
        timeout=TIMEOUT,
    )
    journal = Journal(folder.state, clock=clocks.wall)
    account = Account(
        exchange=adapter,
        journal=journal,
        markets=MARKETS,
        balance_threshold_usd=Decimal(0),
        monotonic=clocks.monotonic,
    )
    orders = OrderManager(
        exchange=adapter,
        journal=journal,
        account=account,
        control=ControlFile(folder.config / "control.json"),
        limits=Risk(max_order_usd="1000000", max_drawdown_pct=100, max_orders_per_minute=600),
        lookup_delays_s=(0.0, 0.0),
        clock=clocks.wall,
        monotonic=clocks.monotonic,
    )
    yield Trader(orders=orders, journal=journal, clocks=clocks)
    await adapter.close()
    await journal.close()


async def test_a_stale_answer_about_an_old_order_is_not_used(
    trader: Trader, exchange: PaperExchange
) -> None:
    orders = {"path_prefix": "/v1/orders"}
    exchange.inject_faults(
        [
            {"kind": "timeout_after_commit", "match": {"method": "POST", **orders}},
            {"kind": "stale", "match": {"method": "GET", **orders}},
        ]
    )
    await trader.order("BTC-USD")
    trader.clocks.now += 10 * ABANDON_AFTER_S
    await trader.orders.settle_unfinished()
    assert await trader.journal.counts() == {"written": 1}
    exchange.remove_faults()
    await trader.orders.settle_unfinished()
    assert await trader.journal.counts() == {"filled": 1}


@pytest.mark.timeout(1800)
async def test_under_mixed_faults_no_order_is_sent_twice_or_left_unsettled(
    trader: Trader, exchange: PaperExchange, is_full_run: bool
) -> None:
    exchange.inject_faults(mixed(SHARE))
    while trader.sent < (10_000 if is_full_run else 500):
        await trader.interval()
    struck = exchange.remove_faults()
    await trader.settle()
    counts = await trader.journal.counts()
    at_exchange = {order["idempotency_key"]: order["status"] for order in exchange.orders()}
    assert struck > trader.sent * SHARE
    assert counts.keys() <= {"filled", "failed"}
    assert len(at_exchange) == counts["filled"]
    for key in at_exchange:
        entry = await trader.journal.entry(key)
        assert entry is not None
        assert entry.status == at_exchange[key]
    assert set(exchange.sent.values()) == {1}

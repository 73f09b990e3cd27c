"""The order manager with a failing exchange over real HTTP, a real journal and a test clock."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import httpx2
import pytest

from purpleflea_agent.exchange.errors import NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import OrderRequest, OrderStatus, Side
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS, ABANDON_AFTER_S
from purpleflea_agent.trading.order_manager import MAX_RESTING, OrderManager
from purpleflea_contract import metrics
from purpleflea_contract.settings import Endpoints, Risk
from purpleflea_sdk.control import ControlFile
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import ANSWER_TIMEOUT_S
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink, Point

PRICE = Decimal(64900)
NEW_KEY = "pf_paper_abcdefabcdefabcdefabcdefabcdefab"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(kw_only=True)
class Parts:
    orders: OrderManager
    journal: Journal
    account: Account
    clock: Clock
    folder: AgentFolder
    emitter: Emitter
    sink: DogStatsdSink

    async def buy(self, key: str, *, market: str = "BTC-USD", size: str = "0.01") -> OrderStatus:
        order = await self.orders.place(
            request(key, market=market, size=size), reference_price=PRICE
        )
        return order.status

    def sent(self, metric: metrics.Metric) -> list[Point]:
        """Return the points of a metric so far."""
        self.emitter.flush()
        self.sink.catch_up()
        return self.sink.of(metric.name)


def request(key: str, *, market: str = "BTC-USD", size: str = "0.01") -> OrderRequest:
    return OrderRequest(idempotency_key=key, market=market, side="buy", size=Decimal(size))


@pytest.fixture
def limits() -> Risk:
    return Risk()


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    limits: Risk,
) -> AsyncIterator[Parts]:
    clock = Clock()
    adapter = SeedExchange(
        Endpoints(**exchange.endpoints),
        key_file=KeyFile(folder.key_file),
        agent_id="momentum-0",
        timeout=httpx2.Timeout(ANSWER_TIMEOUT_S),
    )
    journal = Journal(folder.state, clock=clock, monotonic=clock)
    account = Account(
        exchange=adapter,
        journal=journal,
        markets=["BTC-USD", "ETH-USD"],
        balance_threshold_usd=Decimal(0),
    )
    orders = OrderManager(
        exchange=adapter,
        journal=journal,
        account=account,
        control=ControlFile(folder.config / "control.json"),
        limits=limits,
        lookup_delays_s=(0.0, 0.05),
        clock=clock,
        monotonic=clock,
    )
    yield Parts(
        orders=orders,
        journal=journal,
        account=account,
        clock=clock,
        folder=folder,
        emitter=emitter,
        sink=sink,
    )
    await adapter.close()
    await journal.close()


async def test_an_order_whose_answer_is_lost_is_filled_once(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_answers_after_commit = 1
    assert await parts.buy("k1") is OrderStatus.FILLED
    assert await parts.journal.counts() == {"filled": 1}
    assert list(exchange.orders) == ["k1"]
    assert exchange.count("POST", "/v1/orders") == 1
    (counted,) = parts.sent(metrics.ORDER_EXECUTIONS)
    assert counted.tag("status") == "success"


async def test_an_order_that_is_not_found_is_not_sent_again_and_is_abandoned_later(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_requests = 1
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    with pytest.raises(OrderRefused, match="order_pending"):
        await parts.buy("k2")
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"written": 1}
    parts.clock.now += ABANDON_AFTER_S + 1
    for _ in range(ABANDON_AFTER_LOOKUPS - 1):
        await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"failed": 1}
    assert exchange.count("POST", "/v1/orders") == 1
    assert exchange.orders == {}
    (counted,) = parts.sent(metrics.ORDER_EXECUTIONS)
    assert (counted.tag("status"), counted.tag("error_type")) == ("error", "timeout")
    assert await parts.buy("k3") is OrderStatus.FILLED


async def test_an_order_that_the_exchange_shows_late_is_settled(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.lose_answers_after_commit = 1
    exchange.faults.hide_orders = True
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    exchange.faults.hide_orders = False
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"filled": 1}
    assert exchange.count("POST", "/v1/orders") == 1


async def test_after_a_server_error_the_order_is_looked_up_and_not_sent_again(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    exchange.faults.status_before_commit = [500]
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    assert exchange.count("POST", "/v1/orders") == 1
    assert exchange.count("GET", "/v1/orders") == 2


async def test_an_outcome_that_cannot_be_written_is_looked_up_later(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    sql = parts.journal._store._database.execute
    sql("CREATE TRIGGER full BEFORE UPDATE ON orders BEGIN SELECT RAISE(FAIL, 'no room'); END")
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    assert await parts.journal.counts() == {"written": 1}
    sql("DROP TRIGGER full")
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"filled": 1}
    assert exchange.count("POST", "/v1/orders") == 1


@pytest.mark.parametrize(
    ("status", "error_type"), [(422, "rejected"), (429, "rate_limited"), (403, "rejected")]
)
async def test_a_refused_order_had_no_effect_and_is_counted_by_class(
    parts: Parts, exchange: ExchangeDouble, status: int, error_type: str
) -> None:
    exchange.faults.status_before_commit = [status]
    with pytest.raises(Refused):
        await parts.buy("k1")
    assert await parts.journal.counts() == {"failed": 1}
    (counted,) = parts.sent(metrics.ORDER_EXECUTIONS)
    assert counted.tag("error_type") == error_type


async def test_an_order_to_an_unreachable_exchange_has_failed(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    exchange.close()
    with pytest.raises(NeverSent):
        await parts.buy("k1")
    assert await parts.journal.counts() == {"failed": 1}


async def test_a_rotated_key_is_read_again_without_a_restart(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    exchange.key = NEW_KEY
    parts.folder.key_file.write_text(NEW_KEY)
    assert await parts.buy("k1") is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("limits", "equity", "size", "reason"),
    [
        (Risk(max_order_usd="100"), "10000", "0.01", "max_order"),
        (Risk(max_drawdown_pct=10), "9000", "0.01", "max_drawdown"),
        (Risk(min_balance_usd="10001"), "10000", "0.01", "min_balance"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_order_beyond_a_limit_is_refused_and_counted(
    parts: Parts, exchange: ExchangeDouble, equity: str, size: str, reason: str
) -> None:
    await parts.account.refresh()
    exchange.equity_usd = Decimal(equity)
    await parts.account.refresh()
    with pytest.raises(OrderRefused, match=reason):
        await parts.buy("k1", size=size)
    assert exchange.orders == {}
    (refused,) = parts.sent(metrics.RISK_REFUSALS)
    assert refused.tag("reason") == reason


@pytest.mark.parametrize("limits", [Risk(max_orders_per_minute=2)])
async def test_the_limit_of_orders_per_minute_survives_a_restart(parts: Parts) -> None:
    await parts.buy("k1")
    await parts.buy("k2")
    with pytest.raises(OrderRefused, match="max_orders_per_minute"):
        await parts.buy("k3")
    parts.clock.now += 61
    assert await parts.buy("k4") is OrderStatus.FILLED


@pytest.mark.parametrize("limits", [Risk(max_open_positions=1)])
async def test_a_new_position_beyond_the_limit_is_refused_and_an_open_one_may_grow(
    parts: Parts,
) -> None:
    await parts.buy("k1")
    with pytest.raises(OrderRefused, match="max_open_positions"):
        await parts.buy("k2", market="ETH-USD")
    assert await parts.buy("k3") is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("side", "price"), [("sell", "0.01"), ("buy", "0.01"), ("buy", "64901"), ("sell", "64901")]
)
@pytest.mark.parametrize("limits", [Risk(max_order_usd="649.01")])
async def test_the_limit_price_does_not_reduce_the_notional_value(
    parts: Parts, exchange: ExchangeDouble, side: Side, price: str
) -> None:
    order = OrderRequest(
        idempotency_key="k1",
        market="BTC-USD",
        side=side,
        size=Decimal("0.01"),
        type="limit",
        price=Decimal(price),
    )
    await parts.orders.place(order, reference_price=PRICE)
    with pytest.raises(OrderRefused, match="max_order"):
        await parts.orders.place(
            replace(order, idempotency_key="k2", size=Decimal("0.0101")), reference_price=PRICE
        )
    assert list(exchange.orders) == ["k1"]


@pytest.mark.parametrize("limits", [Risk(max_open_positions=1)])
async def test_a_resting_order_counts_as_an_open_position(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    resting = replace(request("k1"), type="limit", price=PRICE)
    await parts.orders.place(resting, reference_price=PRICE)
    with pytest.raises(OrderRefused, match="max_open_positions"):
        await parts.buy("k2", market="ETH-USD")
    assert await parts.buy("k3") is OrderStatus.FILLED
    assert list(exchange.orders) == ["k1", "k3"]


@pytest.mark.parametrize("limits", [Risk(max_open_positions=1)])
async def test_a_fill_invalidates_the_account_even_if_it_cannot_be_read(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    exchange.faults.positions_fail = 1
    await parts.buy("k1")
    with pytest.raises(OrderRefused, match="max_open_positions"):
        await parts.buy("k2", market="ETH-USD")
    exchange.faults.positions_fail = 2
    await parts.buy("k3")
    with pytest.raises(OutcomeUnknown):
        await parts.buy("k4")
    assert list(exchange.orders) == ["k1", "k3"]


@pytest.mark.parametrize("limits", [Risk(min_balance_usd="9500")])
async def test_the_balance_is_read_after_a_fill(parts: Parts, exchange: ExchangeDouble) -> None:
    def pay() -> None:
        exchange.balance_usd -= 600

    exchange.when_ordered = pay
    await parts.buy("k1")
    with pytest.raises(OrderRefused, match="min_balance"):
        await parts.buy("k2")
    assert list(exchange.orders) == ["k1"]


async def test_resting_orders_are_looked_up_in_rotation_a_few_per_call(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    for number in range(MAX_RESTING + 2):
        resting = replace(request(f"k{number}"), type="limit", price=PRICE)
        await parts.orders.place(resting, reference_price=PRICE)
    for order in exchange.orders.values():
        order |= {"status": "filled", "filled_size": "0.01", "price": str(PRICE)}
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"filled": MAX_RESTING, "open": 2}
    assert exchange.count("GET", "/v1/orders") == MAX_RESTING
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"filled": MAX_RESTING + 2}


async def test_a_partial_fill_of_a_resting_order_counts_in_the_position(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    await parts.orders.place(
        replace(request("k1"), type="limit", price=PRICE), reference_price=PRICE
    )
    exchange.orders["k1"] |= {"filled_size": "0.004", "price": str(PRICE)}
    await parts.orders.settle_unfinished()
    await parts.account.refresh()
    assert parts.account.safe_close_size("BTC-USD") == Decimal("0.004")
    assert await parts.journal.counts() == {"open": 1}
    assert parts.sent(metrics.ORDER_EXECUTIONS) == []


async def test_a_halt_applies_from_the_moment_it_is_written(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.buy("k1")
    parts.folder.set_mode("Halted")
    with pytest.raises(OrderRefused, match="halted"):
        await parts.buy("k2")
    assert list(exchange.orders) == ["k1"]


async def test_drawdown_is_measured_from_the_peak_in_the_journal(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    exchange.equity_usd = Decimal(9500)
    await parts.account.refresh()
    assert parts.account.drawdown_pct == Decimal(5)
    assert [point.values for point in parts.sent(metrics.DRAWDOWN)][-1] == (5.0,)
    assert await parts.journal.update_peak_equity(Decimal(1)) == Decimal(10000)

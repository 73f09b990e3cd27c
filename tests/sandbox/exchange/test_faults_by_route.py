"""Every kind of fault on every route of the dialect: the answer of the client, and the effect at the exchange."""

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from purpleflea_sandbox.exchange.api.fault_answers import GATEWAY_STATUSES, REDIRECTS
from purpleflea_sandbox.exchange.core.faults import Body, FaultKind, RetryAfter
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.oddities import ODD_PRICES, ODD_ROWS, Oddity
from purpleflea_sandbox.exchange.core.orders import FillPlan, NewOrder, OrderType, Side
from purpleflea_sandbox.exchange.storage import accounts, orders
from purpleflea_sandbox.exchange.venue import trading

ORDER = {"market": "BTC-USD", "side": "buy", "size": "0.01", "type": "market"}
ESCROW = {"counterparty_id": "momentum-1", "amount_usd": "5"}

READS = {
    "markets": "/v1/markets",
    "candles": "/v1/markets/BTC-USD/candles",
    "orders": "/v1/orders",
    "order": "/v1/orders/{order}",
    "positions": "/v1/positions",
    "balance": "/v1/balance",
    "escrow of a key": "/v1/escrow?idempotency_key=escrow-{number}",
    "escrow": "/v1/escrow/{escrow}",
}
WRITES: dict[str, tuple[str, str, Any]] = {
    "place": ("POST", "/v1/orders", ORDER),
    "cancel": ("DELETE", "/v1/orders/{resting}", None),
    "lock": ("POST", "/v1/escrow", ESCROW),
    "release": ("POST", "/v1/escrow/{escrow}/release", None),
    "cancel an escrow": ("POST", "/v1/escrow/{escrow}/cancel", None),
    "claim": ("POST", "/faucet/claim", None),
}


@dataclass
class Scenario:
    """A client with an order, a resting order and an escrow."""

    client: httpx.AsyncClient
    admin: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)
    number: int = 0

    async def prepare(self) -> None:
        """Create an order, a resting order and an escrow, which are new for each route."""
        self.number += 1
        limit = {**ORDER, "type": "limit", "price": "1"}
        posts = [
            ("order", "order_id", "/v1/orders", ORDER),
            ("resting", "order_id", "/v1/orders", limit),
            ("escrow", "escrow_id", "/v1/escrow", ESCROW),
        ]
        for name, field_name, path, body in posts:
            key = {"Idempotency-Key": f"{name}-{self.number}"}
            answer = await self.client.post(path, json=body, headers=key)
            self.ids[name] = answer.json()[field_name]

    async def install(self, *faults: dict[str, Any]) -> None:
        answer = await self.client.put("/faults", json=list(faults), headers=self.admin)
        assert answer.status_code == 200, answer.text

    async def hits(self) -> int:
        listed = (await self.client.get("/faults", headers=self.admin)).json()
        return sum(item["hits"] for item in listed)

    async def read(self, path: str) -> httpx.Response:
        return await self.client.get(path.format(**self.ids, number=self.number))

    async def write(self, name: str) -> httpx.Response:
        method, path, body = WRITES[name]
        headers = {"Idempotency-Key": f"written-{self.number}"} if body else {}
        path = path.format(**self.ids)
        return await self.client.request(method, path, json=body, headers=headers)

    async def books(self) -> str:
        """Return everything that a write can change, without prices."""
        await self.client.delete("/faults", headers=self.admin)
        listed = (await self.client.get("/v1/orders")).json()["orders"]
        escrow = (await self.client.get(f"/v1/escrow/{self.ids['escrow']}")).json()
        key = f"written-{self.number}"
        written = (await self.client.get(f"/v1/escrow?idempotency_key={key}")).json()
        cash = (await self.client.get("/v1/balance")).json()["balances"]
        return json.dumps([listed, escrow["status"], written, cash])


@pytest.fixture
async def scenario(serve, admin) -> Scenario:
    prepared = Scenario(await serve(rate_limit_per_minute=100_000), admin)
    await prepared.prepare()
    return prepared


NOT_PROCESSED = [
    {"kind": "status"},
    {"kind": "rate_limit"},
    {"kind": "reset"},
    *({"kind": kind, "after_commit": False} for kind in ("gateway", "redirect", "html")),
]
PROCESSED = [
    {"kind": "gateway"},
    {"kind": "redirect"},
    {"kind": "html"},
    {"kind": "cut"},
    {"kind": "timeout_after_commit", "ms": 0},
    {"kind": "odd_rows"},
    {"kind": "delay", "ms": 0},
    {"kind": "drip", "ms": 0},
    {"kind": "price_gap"},
]


def _name(fault: dict[str, Any]) -> str:
    return "-".join(str(value) for value in fault.values())


async def _sent(request: Any) -> httpx.Response | None:
    try:
        return await request
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("fault", NOT_PROCESSED, ids=_name)
async def test_a_write_that_a_fault_stops_has_no_effect(scenario: Scenario, fault) -> None:
    for name in WRITES:
        await scenario.prepare()
        before = await scenario.books()
        await scenario.install({**fault, "times": 1})
        answer = await _sent(scenario.write(name))
        assert await scenario.hits() == 1, name
        assert answer is None or answer.status_code >= 300 or "<html>" in answer.text, name
        assert await scenario.books() == before, name


@pytest.mark.parametrize("fault", PROCESSED, ids=_name)
async def test_a_write_whose_answer_a_fault_changes_has_its_effect(
    scenario: Scenario, fault
) -> None:
    for name in WRITES:
        await scenario.prepare()
        before = await scenario.books()
        await scenario.install({**fault, "times": 1})
        await _sent(scenario.write(name))
        assert await scenario.hits() == 1, name
        assert await scenario.books() != before, name


@pytest.mark.parametrize("fault", [*NOT_PROCESSED, *PROCESSED, {"kind": "stale"}], ids=_name)
async def test_a_read_has_the_fault_once_and_then_works(scenario: Scenario, fault) -> None:
    for name, path in READS.items():
        usual = (await scenario.read(path)).json()
        await scenario.install({**fault, "times": 1})
        await _sent(scenario.read(path))
        assert await scenario.hits() == 1, name
        answer = await scenario.read(path)
        assert (answer.status_code, answer.json().keys()) == (200, usual.keys()), name


async def test_a_gateway_answers_any_status_after_the_commit(scenario: Scenario) -> None:
    for status in GATEWAY_STATUSES:
        scenario.number += 1
        await scenario.install({"kind": "gateway", "status": status, "body": "json"})
        answer = await scenario.write("place")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert ("Location" in answer.headers) is (status in REDIRECTS)
        assert f'"written-{scenario.number}"' in await scenario.books()


async def test_a_gateway_sends_each_kind_of_body_and_never_a_problem_of_the_exchange(
    scenario: Scenario,
) -> None:
    for body in Body:
        await scenario.install({"kind": "gateway", "status": 403, "body": body})
        answer = await scenario.read("/v1/balance")
        assert answer.status_code == 403
        assert bool(answer.content) is (body is not Body.EMPTY)
        assert "urn:purpleflea" not in answer.text


async def test_a_redirect_points_to_the_request_itself(scenario: Scenario) -> None:
    await scenario.install({"kind": "redirect", "status": 307})
    answer = await scenario.read("/v1/orders?limit=1")
    assert answer.headers["Location"] == "/v1/orders?limit=1"


RETRY_AFTER = {
    RetryAfter.NONE: None,
    RetryAfter.SECONDS: "1",
    RetryAfter.HTTP_DATE: "Fri, 15 Jan 2027 08:00:01 GMT",
    RetryAfter.RFC_850: "Friday, 15-Jan-27 08:00:01 GMT",
    RetryAfter.ASCTIME: "Fri Jan 15 08:00:01 2027",
    RetryAfter.UNREADABLE: "soon",
}


async def test_a_burst_of_429_has_each_form_of_retry_after(scenario: Scenario) -> None:
    for form in RetryAfter:
        await scenario.install({"kind": "rate_limit", "retry_after": form, "burst": 3, "times": 3})
        answers = [await scenario.read("/v1/balance") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
        assert {answer.headers.get("Retry-After") for answer in answers[:3]} == {RETRY_AFTER[form]}


def test_the_dates_of_retry_after_are_the_three_formats_of_http() -> None:
    dates = [RETRY_AFTER[form] for form in ("http_date", "rfc_850", "asctime")]
    assert len({parsedate_to_datetime(date).replace(tzinfo=None) for date in dates if date}) == 1


LISTED = {
    "positions": ("/v1/positions", "positions"),
    "orders": ("/v1/orders", "orders"),
    "candles": ("/v1/markets/BTC-USD/candles?limit=5", "candles"),
    "markets": ("/v1/markets", "markets"),
}


@pytest.mark.parametrize(("path", "name"), LISTED.values(), ids=LISTED)
async def test_one_row_of_a_list_is_odd_and_the_others_are_not(
    scenario: Scenario, path, name
) -> None:
    usual = (await scenario.read(path)).json()[name]
    for oddity in Oddity:
        await scenario.install({"kind": "odd_rows", "oddity": oddity})
        odd = (await scenario.read(path)).json()[name]
        if oddity is Oddity.DUPLICATE:
            assert len(odd) == len(usual) + 1
        else:
            different = [row for row, other in zip(odd, usual, strict=True) if row != other]
            assert len(different) == 1, oddity


async def test_a_balance_is_odd(scenario: Scenario) -> None:
    usual = (await scenario.read("/v1/balance")).json()["balances"]
    for oddity in ODD_ROWS:
        await scenario.install({"kind": "odd_rows", "oddity": oddity})
        assert (await scenario.read("/v1/balance")).json()["balances"] != usual, oddity


async def test_a_price_is_odd_and_the_answer_keeps_its_other_fields(scenario: Scenario) -> None:
    path = "/v1/markets/BTC-USD/candles?limit=3"
    usual = (await scenario.read(path)).json()["candles"]
    for oddity in ODD_PRICES:
        await scenario.install({"kind": "odd_price", "oddity": oddity})
        odd = (await scenario.read(path)).json()["candles"]
        rows = [(row, other) for row, other in zip(odd, usual, strict=True) if row != other]
        ((row, other),) = rows
        assert {**row, "close": None} == {**other, "close": None}, oddity


async def test_a_late_state_shows_an_order_as_it_was_before_its_fill(scenario: Scenario) -> None:
    path = "/v1/orders/{order}"
    await scenario.install({"kind": "late_state", "times": 1})
    late = (await scenario.read(path)).json()
    assert (late["status"], late["filled_size"], late["price"]) == ("open", "0", None)
    assert (await scenario.read(path)).json()["status"] == "filled"


async def test_states_of_an_order_arrive_out_of_order(scenario: Scenario) -> None:
    await scenario.install({"kind": "late_state", "probability": 0.5, "seed": 1})
    states = [(await scenario.read("/v1/orders/{order}")).json()["status"] for _ in range(20)]
    assert set(states) == {"open", "filled"}
    assert states != sorted(states)
    await scenario.install({"kind": "late_state", "probability": 0.5, "seed": 1})
    again = [(await scenario.read("/v1/orders/{order}")).json()["status"] for _ in range(20)]
    assert again == states


async def test_a_late_state_shows_an_escrow_as_it_was_created(scenario: Scenario) -> None:
    await scenario.write("release")
    await scenario.install({"kind": "late_state", "times": 2})
    assert (await scenario.read("/v1/escrow/{escrow}")).json()["status"] == "created"
    listed = (await scenario.read("/v1/escrow?idempotency_key=escrow-{number}")).json()["escrows"]
    assert [item["status"] for item in listed] == ["created"]
    assert (await scenario.read("/v1/escrow/{escrow}")).json()["status"] == "released"


async def test_a_stale_read_is_older_by_its_age(scenario: Scenario, clock, state) -> None:
    await scenario.install({"kind": "stale", "ms": 120_000, "match": {"path_prefix": "/v1/pos"}})
    sizes = []
    for _ in range(6):
        await scenario.client.post("/v1/orders", json=ORDER)
        clock.advance(60)
        state.past.record()
        sizes.append((await scenario.read("/v1/positions")).json()["positions"][0]["size"])
    assert sizes == ["0.01", "0.01", "0.02", "0.03", "0.04", "0.05"]


async def test_a_stale_read_without_an_age_keeps_the_state_of_the_installation(
    scenario: Scenario, clock, state
) -> None:
    await scenario.install({"kind": "stale"})
    await scenario.client.post("/v1/orders", json=ORDER)
    clock.advance(3_600)
    state.past.record()
    assert (await scenario.read("/v1/positions")).json()["positions"][0]["size"] == "0.01"


@pytest.fixture
def state(scenario: Scenario, served_states) -> Any:
    return served_states[-1]


PARTS = {
    "the rest is cancelled": ({"slices": 4}, ["0.01 cancelled"] * 3),
    "two fills": ({"slices": 2, "ms": 1_000}, ["0.02 open", "0.04 filled", "0.04 filled"]),
    "three fills": ({"slices": 3, "ms": 1_000}, ["0.01333 open", "0.02666 open", "0.04 filled"]),
}


@pytest.mark.parametrize(("fields", "states"), PARTS.values(), ids=PARTS)
async def test_an_order_fills_in_parts(scenario: Scenario, clock, state, fields, states) -> None:
    await scenario.install({"kind": "partial_fill", **fields})
    body = {**ORDER, "size": "0.04"}
    placed = (await scenario.client.post("/v1/orders", json=body)).json()
    seen = []
    for _ in states:
        order = (await scenario.client.get(f"/v1/orders/{placed['order_id']}")).json()
        seen.append(f"{Decimal(order['filled_size']).normalize()} {order['status']}")
        clock.advance(1)
        state.tick()
    assert seen == states
    position = (await scenario.read("/v1/positions")).json()["positions"][0]["size"]
    assert Decimal(position) == Decimal("0.01") + Decimal(order["filled_size"])
    assert Decimal(order["fee_usd"]) > 0


async def test_the_rest_of_an_order_that_fills_in_parts_can_be_cancelled(
    scenario: Scenario, clock, state
) -> None:
    await scenario.install({"kind": "partial_fill", "slices": 2, "ms": 60_000})
    placed = (await scenario.client.post("/v1/orders", json=ORDER)).json()
    cancelled = (await scenario.client.delete(f"/v1/orders/{placed['order_id']}")).json()
    assert (cancelled["status"], cancelled["filled_size"]) == ("cancelled", "0.005")
    clock.advance(120)
    state.tick()
    assert (await scenario.read("/v1/positions")).json()["positions"][0]["size"] == "0.015"


async def test_a_market_order_rests_and_fills_later(scenario: Scenario, clock, state) -> None:
    await scenario.install({"kind": "late_fill", "ms": 180_000})
    placed = (await scenario.client.post("/v1/orders", json=ORDER)).json()
    assert (placed["status"], placed["filled_size"]) == ("open", "0")
    for seconds, status in ((179, "open"), (1, "filled")):
        clock.advance(seconds)
        state.tick()
        found = (await scenario.client.get(f"/v1/orders/{placed['order_id']}")).json()
        assert found["status"] == status


async def test_a_rest_that_the_account_cannot_afford_is_cancelled_with_its_fills(
    scenario: Scenario, clock, state
) -> None:
    await scenario.install({"kind": "partial_fill", "slices": 2, "ms": 1_000})
    body = {**ORDER, "size": "0.6"}
    placed = (await scenario.client.post("/v1/orders", json=body)).json()
    cash = "/admin/accounts/fleet/momentum-0/cash"
    await scenario.client.put(cash, json={"cash_usd": "100"}, headers=scenario.admin)
    clock.advance(1)
    state.tick()
    found = (await scenario.client.get(f"/v1/orders/{placed['order_id']}")).json()
    assert (found["status"], found["filled_size"]) == ("cancelled", "0.3")
    assert found["reject_reason"] == "insufficient_margin"


@pytest.mark.parametrize("factor", ["0.5", "2", "10"])
async def test_a_price_gap_is_in_candles_marks_and_fills_until_it_ends(
    scenario: Scenario, clock, factor
) -> None:
    async def prices() -> list[Decimal]:
        candles = (await scenario.read("/v1/markets/BTC-USD/candles?limit=2")).json()["candles"]
        mark = (await scenario.read("/v1/positions")).json()["positions"][0]["mark_price"]
        markets = (await scenario.read("/v1/markets")).json()["markets"]
        return [Decimal(candles[-1]["close"]), Decimal(mark), Decimal(markets[0]["price"])]

    usual = (await prices())[0]
    await scenario.install(
        {"kind": "price_gap", "factor": factor, "market": "BTC-USD", "ms": 60_000, "times": 1}
    )
    gap = set(await prices())
    assert gap == {(usual * Decimal(factor)).quantize(Decimal("0.01"))}
    filled = (await scenario.client.post("/v1/orders", json=ORDER)).json()
    assert abs(Decimal(filled["price"]) / gap.pop() - 1) < Decimal("0.001")
    clock.advance(60)
    assert abs((await prices())[0] / usual - 1) < Decimal("0.01")


async def test_a_dripping_answer_arrives_in_single_bytes(scenario: Scenario) -> None:
    await scenario.install({"kind": "drip", "ms": 1})
    async with scenario.client.stream("GET", "/v1/balance") as answer:
        chunks = [chunk async for chunk in answer.aiter_raw()]
    assert json.loads(b"".join(chunks))["balances"]
    assert len(chunks) > 10


async def test_a_dripping_answer_ends_when_the_client_has_disconnected(scenario: Scenario) -> None:
    await scenario.install({"kind": "drip", "ms": 60_000, "times": 1})
    with pytest.raises(httpx.ReadTimeout):
        await scenario.client.get("/v1/balance", timeout=0.2)
    # The server would not stop while the answer is being sent.
    await asyncio.wait_for(scenario.client.aclose(), 5)


async def test_an_answer_that_is_cut_has_half_of_its_body(scenario: Scenario) -> None:
    await scenario.install({"kind": "cut"})
    with pytest.raises(httpx.TransportError):
        await scenario.read("/v1/balance")


def test_fills_in_parts_create_and_lose_no_money(exchange) -> None:
    venue, account_id = exchange.state.venue, exchange.account.account_id
    plans = [FillPlan(slices=3, pause_ms=1_000), FillPlan(slices=2), FillPlan(due_ms=venue.clock())]
    for number in range(60):
        request = NewOrder(
            idempotency_key=f"k{number}",
            market=MARKETS["ETH-USD"],
            side=Side.BUY if number % 4 < 2 else Side.SELL,
            size=Decimal("0.1234"),
            type=OrderType.MARKET,
        )
        trading.place(venue, account_id, request, plans[number % 3])
        exchange.clock.advance(1)
        trading.settle(venue)
    exchange.clock.advance(60)
    trading.settle(venue)
    placed = orders.newest(venue.database, account_id, status=None, limit=1_000)
    account = accounts.get(venue.database, account_id)
    assert {order.status for order in placed} == {"filled", "cancelled"}
    position = accounts.positions(venue.database, account_id)["ETH-USD"]
    assert position.size == sum(order.filled_size * order.request.side.sign for order in placed)
    change = sum(order.realized_pnl_usd - order.fee_usd for order in placed)
    assert account.cash_usd == exchange.account.cash_usd + change


def test_every_kind_of_fault_is_in_a_table_of_this_module() -> None:
    own_test = {"late_state", "partial_fill", "late_fill", "odd_price"}
    tables = {str(fault["kind"]) for fault in (*NOT_PROCESSED, *PROCESSED, {"kind": "stale"})}
    assert tables | own_test == set(FaultKind)

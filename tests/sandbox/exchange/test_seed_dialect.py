import asyncio
import json
import logging
from itertools import product

from purpleflea_sandbox.exchange.json_log import JsonFormatter

PROBLEM = "application/problem+json"


async def _order(client, body, key, **headers):
    return await client.post("/v1/orders", json=body, headers={"Idempotency-Key": key, **headers})


async def test_an_order_has_the_fields_of_the_seed_dialect(client, buy):
    answer = await _order(client, buy, "k1")
    order = answer.json()
    assert answer.status_code == 201
    assert order["status"] == "filled"
    assert (order["size"], order["filled_size"], order["idempotency_key"]) == ("0.01", "0.01", "k1")
    for field in ("price", "fee_usd", "realized_pnl_usd"):
        assert isinstance(order[field], str)
    assert order["created_at"] == "2027-01-15T08:00:00.000Z"


async def test_an_order_is_returned_by_id_by_key_and_in_lists(client, buy):
    order = (await _order(client, buy, "k1")).json()
    assert (await client.get(f"/v1/orders/{order['order_id']}")).json() == order
    for query in ({"idempotency_key": "k1"}, {"status": "filled"}, {}):
        assert (await client.get("/v1/orders", params=query)).json() == {"orders": [order]}
    for query in ({"idempotency_key": "k2"}, {"status": "open"}):
        assert (await client.get("/v1/orders", params=query)).json() == {"orders": []}


async def test_an_open_limit_order_is_listed_and_can_be_cancelled_once(client, buy):
    limit = {**buy, "type": "limit", "price": "30000.00"}
    order = (await _order(client, limit, "k1")).json()
    assert (order["status"], order["price"], order["limit_price"]) == ("open", None, "30000.00")
    listed = (await client.get("/v1/orders", params={"status": "open"})).json()["orders"]
    assert [item["order_id"] for item in listed] == [order["order_id"]]
    path = f"/v1/orders/{order['order_id']}"
    assert (await client.delete(path)).json()["status"] == "cancelled"
    again = await client.delete(path)
    assert (again.status_code, again.json()["code"]) == (409, "order_state")


async def test_positions_and_balance_follow_the_orders(client, buy):
    assert (await client.get("/v1/positions")).json() == {"positions": [], "equity_usd": "10000"}
    order = (await _order(client, buy, "k1")).json()
    report = (await client.get("/v1/positions")).json()
    (position,) = report["positions"]
    assert (position["market"], position["size"]) == ("BTC-USD", "0.01")
    assert float(position["entry_price"]) == float(order["price"])
    balance = (await client.get("/v1/balance")).json()
    assert balance["equity_usd"] == report["equity_usd"]
    assert float(balance["balances"]["USDC"]["amount"]) == 10_000 - float(order["fee_usd"])


async def test_agents_under_one_key_have_separate_accounts(client, buy):
    await _order(client, buy, "k1")
    other = await client.get("/v1/positions", headers={"X-Agent-Id": "momentum-1"})
    assert other.json() == {"positions": [], "equity_usd": "10000"}


async def test_markets_and_candles_agree_on_the_price(client):
    markets = (await client.get("/v1/markets")).json()["markets"]
    assert [market["market"] for market in markets] == ["BTC-USD", "ETH-USD", "SOL-USD"]
    query = {"interval": "15s", "limit": "50"}
    result = (await client.get("/v1/markets/BTC-USD/candles", params=query)).json()
    assert (result["interval"], len(result["candles"])) == ("15s", 50)
    assert result["candles"][-1]["close"] == markets[0]["price"]


async def test_an_escrow_is_returned_by_its_key(client):
    body = {"counterparty_id": "agent-2", "amount_usd": "25.00"}
    created = await client.post("/v1/escrow", json=body, headers={"Idempotency-Key": "e"})
    assert created.json()["idempotency_key"] == "e"
    for key, escrows in (("e", [created.json()]), ("f", [])):
        answer = await client.get("/v1/escrow", params={"idempotency_key": key})
        assert answer.json() == {"escrows": escrows}
    assert (await client.get("/v1/escrow")).status_code == 422


async def test_an_escrow_is_created_read_and_released(client):
    body = {"counterparty_id": "momentum-1", "amount_usd": "25.50", "description": "data"}
    created = await client.post("/v1/escrow", json=body, headers={"Idempotency-Key": "e"})
    again = await client.post("/v1/escrow", json=body, headers={"Idempotency-Key": "e"})
    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json() == again.json()
    assert created.json()["status"] == "created"
    path = f"/v1/escrow/{created.json()['escrow_id']}"
    assert (await client.get(path)).json()["amount_usd"] == "25.50"
    assert (await client.post(f"{path}/release")).json()["status"] == "released"
    late = await client.post(f"{path}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "escrow_state")


async def test_the_faucet_sends_retry_after(client):
    assert (await client.post("/faucet/claim")).json()["credited_usd"] == "100"
    again = await client.post("/faucet/claim")
    assert (again.status_code, again.headers["Retry-After"]) == (429, "86400")


async def test_a_registered_key_trades(client, buy):
    key = (await client.post("/v1/auth/register")).json()["api_key"]
    answer = await _order(client, buy, "k1", Authorization=f"Bearer {key}")
    assert answer.status_code == 201


async def test_requests_without_a_known_key_are_rejected(client):
    paths = ("/v1/markets", "/v1/balance", "/v1/orders")
    for path, credentials in product(paths, ("", "Bearer", "Bearer nonsense", "Basic eDp5")):
        answer = await client.get(path, headers={"Authorization": credentials})
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)


async def test_health_and_the_openapi_document_need_no_key(client):
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 200


BAD_BODIES = {
    "a float too small to be written plainly": {"size": 1e-9},
    "a boolean": {"size": True},
    "a list": {"size": ["0.01"]},
    "an exponent": {"size": "1e-2"},
    "not a number": {"size": "NaN"},
    "negative": {"size": "-1"},
    "zero": {"size": "0"},
    "off the grid": {"size": "0.0000001"},
    "side": {"side": "hold"},
    "type": {"type": "stop"},
    "unknown field": {"leverage": "3"},
    "price on a market order": {"price": "1"},
    "limit without price": {"type": "limit"},
}


async def test_an_invalid_order_is_a_problem_and_is_not_stored(client, buy):
    for name, change in BAD_BODIES.items():
        answer = await _order(client, {**buy, **change}, "k1")
        assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), name
        assert set(answer.json()) >= {"type", "title", "status", "detail", "code"}, name
    assert (await client.get("/v1/orders")).json() == {"orders": []}


async def test_other_errors_are_problems_too(client, buy):
    cases = {
        (404, "unknown_market"): await _order(client, {**buy, "market": "DOGE-USD"}, "k1"),
        (404, "unknown_order"): await client.get("/v1/orders/ord_none"),
        (404, "not_found"): await client.get("/v2/orders"),
        (405, "method_not_allowed"): await client.put("/v1/orders"),
        (422, "invalid_request"): await client.post(
            "/v1/orders", json=buy, headers={"Idempotency-Key": ""}
        ),
    }
    for (status, code), answer in cases.items():
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == PROBLEM
    malformed = await client.post(
        "/v1/orders", content=b'{"market":', headers={"Idempotency-Key": "k"}
    )
    assert malformed.status_code == 422


async def test_an_agent_id_is_checked(client):
    for agent_id in ("-x", "a b", "a/b", "a" * 129, ""):
        answer = await client.get("/v1/balance", headers={"X-Agent-Id": agent_id})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), agent_id


async def test_a_body_that_is_too_large_is_rejected_with_or_without_length(client):
    async def chunks():
        for _ in range(100):
            yield b"x" * 1024

    for content in (b"x" * 100_000, chunks()):
        answer = await client.post(
            "/v1/orders",
            content=content,
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_rate_limited_key_receives_retry_after(serve, clock):
    client = await serve(rate_limit_per_minute=3)
    answers = [(await client.get("/v1/balance")) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "20"
    clock.advance(20)
    assert (await client.get("/v1/balance")).status_code == 200


async def test_concurrent_requests_with_one_key_create_one_order(client, buy):
    answers = await asyncio.gather(*(_order(client, buy, "same") for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [200] * 39 + [201]
    assert len({answer.json()["order_id"] for answer in answers}) == 1
    (position,) = (await client.get("/v1/positions")).json()["positions"]
    assert position["size"] == "0.01"


async def test_of_two_orders_with_one_key_only_one_is_accepted(client, buy):
    sell = {**buy, "side": "sell"}
    pairs = [_order(client, body, f"k{n}") for n in range(15) for body in (buy, sell)]
    answers = await asyncio.gather(*pairs)
    assert sorted(answer.status_code for answer in answers) == [201] * 15 + [409] * 15
    assert len((await client.get("/v1/orders")).json()["orders"]) == 15


async def test_the_openapi_document_lists_the_seed_dialect(client):
    document = (await client.get("/openapi.json")).json()
    assert {
        "/v1/markets",
        "/v1/markets/{market}/candles",
        "/v1/orders",
        "/v1/orders/{order_id}",
        "/v1/positions",
        "/v1/balance",
        "/v1/escrow",
        "/v1/escrow/{escrow_id}",
        "/v1/escrow/{escrow_id}/release",
        "/v1/escrow/{escrow_id}/cancel",
        "/faucet/claim",
        "/v1/auth/register",
    } <= set(document["paths"])
    size = document["components"]["schemas"]["OrderBody"]["properties"]["size"]
    assert [form["type"] for form in size["anyOf"]] == ["string", "number"]
    assert "Problem" in document["components"]["schemas"]


def test_a_log_line_is_one_json_object_with_its_fields():
    record = logging.makeLogRecord(
        {
            "msg": "order %s",
            "args": ("filled",),
            "levelname": "INFO",
            "agent_id": "a",
            "price": None,
        }
    )
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["level"], line["agent_id"]) == ("order filled", "info", "a")
    assert "price" not in line

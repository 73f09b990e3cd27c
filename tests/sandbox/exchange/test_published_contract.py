"""The exchange accepts the requests of the published page, and docs/ contains its OpenAPI document."""

import json
from pathlib import Path

from httpx import AsyncClient

from purpleflea_sandbox.exchange.api import document

KEPT = "docs/exchange-openapi.json"


async def test_the_order_request_of_the_page_is_accepted(client: AsyncClient) -> None:
    body = {"market": "BTC-USD", "side": "buy", "size": 0.01, "type": "market"}
    answers = [await client.post("/v1/orders", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert {answer.json()["size"] for answer in answers} == {"0.01"}
    # Without an idempotency key every request is a new intent.
    assert len({answer.json()["idempotency_key"] for answer in answers}) == 2
    (position,) = (await client.get("/v1/positions")).json()["positions"]
    assert position["size"] == "0.02"


async def test_balances_have_the_dollar_value_that_the_page_shows(client: AsyncClient) -> None:
    balances = (await client.get("/v1/balance")).json()["balances"]
    assert {currency: float(info["usd_value"]) for currency, info in balances.items()} == {
        "USDC": 10_000.0
    }


async def test_the_escrow_request_of_the_page_is_accepted(client: AsyncClient) -> None:
    body = {"counterparty_id": "agent_7", "amount_usd": 25.5}
    opened = await client.post("/v1/escrow", json=body)
    assert (opened.status_code, opened.json()["amount_usd"]) == (201, "25.5")
    assert opened.json()["status"] == "created"


def test_the_stored_document_matches_the_exchange(repository: Path) -> None:
    assert (repository / KEPT).read_text() == document.document(), "stale: run `make docs`"


def test_the_document_contains_every_path_that_an_agent_calls(repository: Path) -> None:
    paths = json.loads((repository / KEPT).read_text())["paths"]
    called = {
        ("post", "/v1/orders"),
        ("get", "/v1/orders"),
        ("delete", "/v1/orders/{order_id}"),
        ("get", "/v1/positions"),
        ("get", "/v1/balance"),
        ("get", "/v1/markets/{market}/candles"),
        ("post", "/v1/escrow"),
        ("get", "/v1/escrow"),
        ("get", "/v1/escrow/{escrow_id}"),
        ("post", "/v1/escrow/{escrow_id}/release"),
        ("post", "/v1/escrow/{escrow_id}/cancel"),
        ("post", "/faucet/claim"),
    }
    assert called <= {(method, path) for path, methods in paths.items() for method in methods}

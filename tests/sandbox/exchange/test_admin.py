from itertools import product

from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.server import running
from purpleflea_sandbox.exchange.settings import ExchangeSettings
from purpleflea_sandbox.exchange.venue.context import Terms

PATHS = ("/admin/accounts", "/admin/orders", "/admin/summary", "/faults")


async def test_the_admin_api_needs_its_own_token(client):
    for path in PATHS:
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 401


async def test_without_a_token_configured_the_admin_api_is_closed(client, admin):
    async with running(AppState.open(ExchangeSettings(terms=Terms()))) as url:
        for path, headers in product(PATHS, (admin, {"Authorization": ""})):
            answer = await client.get(url + path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "admin_closed")


async def test_the_summary_counts_every_agents_orders(client, admin, buy):
    for agent, orders in (("momentum-0", 2), ("momentum-1", 1)):
        for number in range(orders):
            headers = {"X-Agent-Id": agent, "Idempotency-Key": f"k{number}"}
            await client.post("/v1/orders", json=buy, headers=headers)
    rejected = {**buy, "size": "9"}
    await client.post("/v1/orders", json=rejected, headers={"Idempotency-Key": "big"})
    summary = (await client.get("/admin/summary", headers=admin)).json()
    assert summary["orders"] == 4
    counts = {a["agent_id"]: (a["filled"], a["rejected"]) for a in summary["agents"]}
    assert counts == {"momentum-0": (2, 1), "momentum-1": (1, 0)}
    of_agent = (
        await client.get("/admin/orders", params={"agent_id": "momentum-1"}, headers=admin)
    ).json()
    assert of_agent["count"] == len(of_agent["orders"]) == 1
    assert of_agent["orders"][0]["agent_id"] == "momentum-1"


async def test_the_accounts_show_cash_equity_and_positions(client, admin, buy):
    await client.post("/v1/orders", json=buy, headers={"Idempotency-Key": "k"})
    (account,) = (await client.get("/admin/accounts", headers=admin)).json()["accounts"]
    balance = (await client.get("/v1/balance")).json()
    assert (account["owner"], account["agent_id"]) == ("fleet", "momentum-0")
    assert account["cash_usd"] == balance["balances"]["USDC"]["amount"]
    assert account["equity_usd"] == balance["equity_usd"]
    assert account["positions"][0]["size"] == "0.01"


async def test_setting_cash_adds_an_entry_and_is_idempotent(client, admin, buy):
    await client.post("/v1/orders", json=buy, headers={"Idempotency-Key": "k"})
    path = "/admin/accounts/fleet/momentum-0/cash"
    for _ in range(2):
        answer = await client.put(path, json={"cash_usd": "40.500000"}, headers=admin)
        assert (answer.status_code, answer.json()["cash_usd"]) == (200, "40.500000")
    balance = (await client.get("/v1/balance")).json()
    assert balance["balances"]["USDC"]["amount"] == "40.500000"
    assert float(balance["equity_usd"]) < 50


async def test_setting_cash_of_an_unknown_account_is_rejected(client, admin):
    for body, status in (({"cash_usd": "1"}, 404), ({"cash_usd": "-1"}, 422)):
        answer = await client.put("/admin/accounts/fleet/unknown/cash", json=body, headers=admin)
        assert answer.status_code == status
    assert (await client.get("/admin/accounts", headers=admin)).json() == {"accounts": []}

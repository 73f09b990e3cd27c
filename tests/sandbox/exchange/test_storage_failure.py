import httpx
import pytest

from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.server import running
from purpleflea_sandbox.exchange.settings import ExchangeSettings
from purpleflea_sandbox.exchange.storage import accounts
from purpleflea_sandbox.exchange.venue import access
from purpleflea_sandbox.exchange.venue.context import Terms


def _limit_pages(state, pages):
    state.venue.database.execute(f"PRAGMA max_page_count = {pages}")


async def test_a_full_disk_is_reported_loses_nothing_and_recovers(tmp_path, buy):
    state = AppState.open(
        ExchangeSettings(terms=Terms(), data_dir=tmp_path, rate_limit_per_minute=100_000)
    )
    headers = {"Authorization": f"Bearer {access.register(state.venue)}"}
    async with running(state) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        await client.get("/v1/balance")
        # SQLite never sets the limit below the file size, so from here on the file cannot grow.
        _limit_pages(state, 1)
        answers = []
        while not answers or answers[-1].status_code == 201:
            key = {"Idempotency-Key": f"k{len(answers)}"}
            answers.append(await client.post("/v1/orders", json=buy, headers=key))
            assert len(answers) < 2_000
        refused = answers.pop()
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        assert (await client.get("/healthz")).status_code == 200
        assert len(
            (await client.get("/v1/orders", params={"limit": 1000})).json()["orders"]
        ) == len(answers)
        _limit_pages(state, 1_000_000)
        again = await client.post(
            "/v1/orders", json=buy, headers={"Idempotency-Key": f"k{len(answers)}"}
        )
        assert again.status_code == 201


def test_a_transaction_that_fails_is_rolled_back(exchange):
    database = exchange.state.venue.database

    def half_a_change():
        with database.transaction():
            accounts.add(database, "fleet", "half", 0)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_a_change()
    assert accounts.find(database, "fleet", "half") is None
    with database.transaction():
        accounts.add(database, "fleet", "whole", 0)
    assert accounts.find(database, "fleet", "whole") is not None

import asyncio
import json
import re
import time

import httpx
import pytest


async def _install(client, admin, *faults):
    answer = await client.put("/faults", json=list(faults), headers=admin)
    assert answer.status_code == 200, answer.text


async def _order(client, body, key, timeout_s=10.0):
    return await client.post(
        "/v1/orders", json=body, headers={"Idempotency-Key": key}, timeout=timeout_s
    )


async def _known(client, key):
    answer = await client.get("/v1/orders", params={"idempotency_key": key})
    return answer.json()["orders"]


async def test_the_faults_of_the_page_are_accepted(client, admin, repository):
    page = (repository / "docs" / "paper-exchange.md").read_text()
    (faults,) = re.findall(r"^  -d '(.*)'$", page, re.MULTILINE)
    await _install(client, admin, *json.loads(faults))


async def test_a_status_fault_responds_before_the_request_is_processed(client, admin, buy):
    await _install(client, admin, {"kind": "status", "status": 502, "match": {"method": "POST"}})
    answer = await _order(client, buy, "k")
    assert (answer.status_code, answer.json()["code"]) == (502, "injected_fault")
    assert await _known(client, "k") == []


async def test_a_rate_limit_fault_sends_retry_after(client, admin):
    await _install(client, admin, {"kind": "rate_limit"})
    answer = await client.get("/v1/balance")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


async def test_a_delay_fault_only_takes_time(client, admin, buy):
    await _install(client, admin, {"kind": "delay", "ms": 200, "times": 1})
    began = time.monotonic()
    assert (await _order(client, buy, "k")).status_code == 201
    assert time.monotonic() - began >= 0.2


async def test_a_reset_fault_resets_the_connection_before_processing(client, admin, buy):
    await _install(client, admin, {"kind": "reset", "times": 1})
    with pytest.raises(httpx.ReadError):
        await _order(client, buy, "k")
    assert await _known(client, "k") == []
    assert (await _order(client, buy, "k")).status_code == 201


async def test_a_timeout_after_commit_stores_the_order_and_the_response(client, admin, buy):
    await _install(client, admin, {"kind": "timeout_after_commit", "times": 1})
    with pytest.raises(httpx.ReadTimeout):
        await _order(client, buy, "k", timeout_s=0.5)
    (order,) = await _known(client, "k")
    assert order["status"] == "filled"
    again = await _order(client, buy, "k")
    assert (again.status_code, again.json()) == (200, order)


async def test_a_timeout_after_commit_ends_with_a_reset_after_its_time(client, admin, buy):
    await _install(client, admin, {"kind": "timeout_after_commit", "ms": 100, "times": 1})
    with pytest.raises(httpx.ReadError):
        await _order(client, buy, "k")
    assert len(await _known(client, "k")) == 1


async def test_stale_reads_return_the_old_state_and_writes_succeed(client, admin, buy):
    await _order(client, buy, "before")
    positions = (await client.get("/v1/positions")).json()
    await _install(client, admin, {"kind": "stale"})
    assert (await _order(client, buy, "after")).status_code == 201
    assert (await client.get("/v1/positions")).json() == positions
    assert await _known(client, "after") == []
    assert (await client.delete("/faults", headers=admin)).status_code == 204
    assert len(await _known(client, "after")) == 1


async def test_a_fault_for_one_agent_does_not_affect_others(client, admin):
    await _install(client, admin, {"kind": "status", "match": {"agent_id": "momentum-0"}})
    assert (await client.get("/v1/balance")).status_code == 503
    other = await client.get("/v1/balance", headers={"X-Agent-Id": "momentum-1"})
    assert other.status_code == 200


async def test_health_and_admin_paths_have_no_faults(client, admin):
    await _install(client, admin, {"kind": "reset"})
    for path in ("/healthz", "/readyz", "/admin/summary", "/faults"):
        assert (await client.get(path, headers=admin)).status_code == 200


async def test_under_mixed_faults_no_key_ever_fills_twice(client, admin, buy):
    await _install(
        client,
        admin,
        {"kind": "timeout_after_commit", "ms": 20, "probability": 0.15},
        {"kind": "reset", "probability": 0.15},
        {"kind": "status", "status": 500, "probability": 0.15},
    )

    async def retry_until_accepted(key):
        for _ in range(50):
            try:
                answer = await _order(client, buy, key)
            except httpx.TransportError:
                continue
            if answer.status_code in (200, 201):
                return
        pytest.fail("never accepted")

    await asyncio.gather(*(retry_until_accepted(f"k{number}") for number in range(60)))
    faults = (await client.get("/faults", headers=admin)).json()
    assert all(fault["hits"] > 0 for fault in faults)
    listed = (await client.get("/admin/orders", headers=admin)).json()
    assert listed["count"] == 60
    accounts = (await client.get("/admin/accounts", headers=admin)).json()["accounts"]
    assert accounts[0]["positions"][0]["size"] == "0.60"


BAD_FAULTS = (
    {"kind": "meteor"},
    {"kind": "delay"},
    {"kind": "delay", "ms": 60_001},
    {"kind": "status", "status": 200},
    {"kind": "reset", "probability": 0},
    {"kind": "reset", "match": {"method": "get"}},
    {"kind": "reset", "extra": 1},
    {"kind": "reset", "ms": 5},
    {"kind": "reset", "seed": -1},
    {"kind": "reset", "burst": 0},
    {"kind": "gateway", "status": 200},
    {"kind": "gateway", "status": 600},
    {"kind": "gateway", "body": "xml"},
    {"kind": "redirect", "status": 404},
    {"kind": "status", "after_commit": False},
    {"kind": "rate_limit", "retry_after": "later"},
    {"kind": "odd_price", "oddity": "null_row"},
    {"kind": "odd_rows", "oddity": "strange"},
    {"kind": "drip", "ms": 60_001},
    {"kind": "stale", "ms": 3_600_001},
    {"kind": "partial_fill", "slices": 1},
    {"kind": "price_gap", "factor": "0"},
    {"kind": "price_gap", "factor": "NaN"},
    {"kind": "price_gap", "market": "XRP-USD"},
)


async def test_an_invalid_fault_is_rejected_and_the_old_faults_stay(client, admin):
    await _install(client, admin, {"kind": "reset"})
    for fault in BAD_FAULTS:
        answer = await client.put("/faults", json=[fault], headers=admin)
        assert answer.status_code == 422, fault
        assert len((await client.get("/faults", headers=admin)).json()) == 1


EVERY_FIELD = (
    {"kind": "gateway", "status": 404, "body": "text", "after_commit": False, "seed": 3},
    {"kind": "rate_limit", "retry_after": "asctime", "burst": 4, "times": 9},
    {"kind": "odd_rows", "oddity": "nan", "probability": 0.25},
    {"kind": "partial_fill", "slices": 3, "ms": 120_000},
    {"kind": "price_gap", "factor": "1.5", "market": "ETH-USD", "ms": 5},
    {"kind": "stale", "ms": 300_000, "match": {"method": "GET", "path_prefix": "/v1/orders"}},
)


async def test_installed_faults_are_listed_as_they_were_sent_and_can_be_sent_again(client, admin):
    await _install(client, admin, *EVERY_FIELD)
    listed = (await client.get("/faults", headers=admin)).json()
    for sent, view in zip(EVERY_FIELD, listed, strict=True):
        assert {name: view[name] for name in sent if name != "match"} == {
            name: value for name, value in sent.items() if name != "match"
        }
    again = [{name: value for name, value in view.items() if name != "hits"} for view in listed]
    await _install(client, admin, *again)
    assert (await client.get("/faults", headers=admin)).json() == listed

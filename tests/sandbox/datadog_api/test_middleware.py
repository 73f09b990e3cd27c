"""Keys, scopes, limits, faults, and the request log."""

import aiohttp
import pytest

from purpleflea_sandbox.datadog.api.limits import Limit
from support.datadog_api import API_KEY, KEYS, DatadogApi

MONITOR = {"type": "query alert", "query": "max(last_5m):max:a.b{*} > 1"}
LOG_MONITOR = {
    "type": "log alert",
    "query": 'logs("a:b").index("*").rollup("count").by("c").last("5m") > 1',
}


@pytest.mark.parametrize(
    ("keys", "v1", "v2"),
    [
        (KEYS, 200, 200),
        ({"DD-API-KEY": API_KEY}, 200, 403),
        (KEYS | {"DD-APPLICATION-KEY": "wrong"}, 200, 403),
        (KEYS | {"DD-API-KEY": "wrong"}, 403, 403),
        ({}, 403, 403),
    ],
)
async def test_version_1_validates_the_api_key_and_version_2_both_keys(api, keys, v1, v2) -> None:
    async with aiohttp.ClientSession(api.url, headers=keys) as session:
        async with session.get("/api/v1/validate") as first:
            assert first.status == v1
        async with session.get("/api/v2/validate_keys") as second:
            assert second.status == v2


async def test_call_without_the_required_scope_is_forbidden(api, ask) -> None:
    api.scope_key(["monitors_read"])

    assert (await ask("GET", "/api/v1/monitor"))[0] == 200
    assert await ask("POST", "/api/v1/monitor", MONITOR) == (403, {"errors": ["Forbidden"]})
    assert (await ask("GET", "/api/v2/validate_keys"))[0] == 200


async def test_log_monitor_requires_an_unscoped_key(api, ask) -> None:
    api.scope_key(["monitors_read", "monitors_write"])

    assert (await ask("POST", "/api/v1/monitor", MONITOR))[0] == 200
    assert (await ask("POST", "/api/v1/monitor", LOG_MONITOR))[0] == 403


async def test_unknown_path_is_a_404(ask) -> None:
    assert (await ask("POST", "/api/v1/deployments", {}))[0] == 404


async def test_body_that_is_not_json_is_rejected(ask) -> None:
    headers = {"Content-Type": "application/json"}

    assert (await ask("POST", "/api/v1/monitor", data=b"{", headers=headers))[0] == 400
    assert (await ask("POST", "/api/v1/monitor", []))[0] == 400
    assert (await ask("POST", "/api/v1/monitor"))[0] == 400


async def test_limit_counts_down_rejects_and_resets() -> None:
    clock = [1000.0]
    limits = {"read": Limit(calls=2, period_s=10)}
    async with (
        DatadogApi(limits=limits, now=lambda: clock[0]) as api,
        aiohttp.ClientSession(api.url, headers=KEYS) as session,
    ):

        async def read() -> tuple[int, dict[str, str]]:
            async with session.get("/api/v1/monitor") as response:
                names = ("Limit", "Period", "Remaining", "Reset", "Name")
                return response.status, {n: response.headers[f"X-RateLimit-{n}"] for n in names}

        usual = {"Limit": "2", "Period": "10", "Name": "read"}
        assert await read() == (200, usual | {"Remaining": "1", "Reset": "10"})
        clock[0] += 4
        assert await read() == (200, usual | {"Remaining": "0", "Reset": "6"})
        assert await read() == (429, usual | {"Remaining": "0", "Reset": "6"})
        clock[0] += 6
        assert (await read())[0] == 200


async def test_fault_fires_for_matching_calls_as_often_as_configured(api, ask) -> None:
    api.fail({"kind": "status", "status": 502, "method": "POST", "skip": 1, "times": 1})

    statuses = [(await ask("POST", "/api/v1/monitor/validate", MONITOR))[0] for _ in range(3)]
    assert statuses == [200, 502, 200]
    assert (await ask("GET", "/api/v1/monitor"))[0] == 200


async def test_rate_limit_fault_returns_its_reset_time(api) -> None:
    api.fail({"kind": "rate_limit", "reset_s": 7})
    async with (
        aiohttp.ClientSession(api.url, headers=KEYS) as session,
        session.get("/api/v1/monitor") as response,
    ):
        assert response.status == 429
        assert response.headers["X-RateLimit-Reset"] == "7"


@pytest.mark.parametrize("kind", ["timeout_after_commit", "status_after_commit"])
async def test_fault_after_commit_keeps_the_object(api, ask, kind) -> None:
    api.fail({"kind": kind, "times": 1, "ms": 20})
    try:
        status, _ = await ask("POST", "/api/v1/monitor", MONITOR)
    except aiohttp.ClientError:
        status = 0

    assert status == (503 if kind == "status_after_commit" else 0)
    assert len(api.organisation.monitors) == 1
    assert [entry.status for entry in api.request_log.writes()] == [status]


async def test_timeout_fault_ends_if_the_client_disconnects(api, ask) -> None:
    api.fail({"kind": "timeout_after_commit", "times": 1})
    with pytest.raises(TimeoutError):
        await ask("POST", "/api/v1/monitor", MONITOR, timeout=aiohttp.ClientTimeout(total=0.2))

    assert (await ask("GET", "/api/v1/monitor"))[1][0]["query"] == MONITOR["query"]


async def test_reset_fault_happens_before_the_commit(api, ask) -> None:
    api.fail({"kind": "delay", "ms": 1}, {"kind": "reset", "method": "POST"})
    with pytest.raises(aiohttp.ClientError):
        await ask("POST", "/api/v1/monitor", MONITOR)

    assert api.organisation.monitors == {}
    assert api.request_log.writes()[0].status == 0


async def test_faults_are_configured_over_http(ask) -> None:
    status, shown = await ask("PUT", "/faults", [{"kind": "status", "status": 500, "times": 2}])

    assert (status, shown[0]["hits"], shown[0]["times"]) == (200, 0, 2)
    assert (await ask("GET", "/api/v1/validate"))[0] == 500
    assert (await ask("GET", "/faults"))[1][0]["hits"] == 1
    assert (await ask("DELETE", "/faults"))[0] == 204
    assert (await ask("GET", "/api/v1/validate"))[0] == 200


@pytest.mark.parametrize(
    "faults",
    [
        [{"kind": "nosuch"}],
        [{}],
        [{"kind": "delay", "ms": "long"}],
        [{"kind": "status", "status": 200}],
        [{"kind": "reset", "colour": "red"}],
        {},
        ["reset"],
    ],
)
async def test_invalid_fault_is_rejected(ask, faults) -> None:
    assert (await ask("PUT", "/faults", faults))[0] == 400


async def test_keys_are_configured_over_http(ask) -> None:
    mine = KEYS["DD-APPLICATION-KEY"]
    status, shown = await ask("PUT", "/keys", [{"key": mine, "scopes": ["slos_read"]}])

    assert (status, shown) == (200, [{"key": mine, "scopes": ["slos_read"]}])
    assert (await ask("GET", "/api/v1/slo"))[0] == 200
    assert (await ask("GET", "/api/v1/monitor"))[0] == 403
    assert (await ask("PUT", "/keys", [{"scopes": []}]))[0] == 400
    assert (await ask("PUT", "/keys", [{"key": mine, "scopes": None}]))[0] == 200
    assert (await ask("GET", "/api/v1/monitor"))[0] == 200


async def test_any_application_key_is_unscoped_if_none_is_configured(api, ask) -> None:
    await ask("PUT", "/keys", [])

    assert (await ask("POST", "/api/v1/monitor", LOG_MONITOR))[0] == 200
    nothing = {"DD-APPLICATION-KEY": ""}
    assert (await ask("GET", "/api/v1/monitor", headers=nothing))[0] == 403


async def test_unlimited_fault_is_listed_as_unlimited(ask) -> None:
    status, shown = await ask("PUT", "/faults", [{"kind": "delay", "ms": 0, "times": None}])

    assert (status, shown[0]["times"]) == (200, None)


async def test_request_log_contains_calls_but_not_data(api, ask) -> None:
    await ask("POST", "/api/v1/monitor", MONITOR)
    await ask("GET", "/api/v1/monitor?name=x")
    await ask("POST", "/api/v2/series", {"series": []})

    assert [(one.method, one.path, one.query) for one in api.request_log.entries] == [
        ("POST", "/api/v1/monitor", ""),
        ("GET", "/api/v1/monitor", "name=x"),
    ]
    assert api.request_log.writes()[0].body == MONITOR
    assert len(api.request_log.reads()) == 1
    _, shown = await ask("GET", "/calls")
    assert [call["status"] for call in shown["calls"]] == [200, 200]
    await ask("DELETE", "/calls")
    assert not api.request_log.entries


async def test_faults_apply_to_the_intake(api, ask) -> None:
    api.fail({"kind": "status", "path_prefix": "/api/v2/series"})

    assert (await ask("POST", "/api/v2/series", {"series": []}))[0] == 503
    assert (await ask("GET", "/healthz"))[0] == 200

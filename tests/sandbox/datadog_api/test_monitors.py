"""/api/v1/monitor: create, update, delete, validation, search, pages, and references."""

from typing import Any

import pytest

QUERY = "max(last_5m):max:agent.risk.max_drawdown_pct{env:production} by {agent_id} > 15"
LOGS = 'logs("service:agents").index("*").rollup("count").by("agent_id").last("10m") > 5'


def monitor(**changes: Any) -> dict[str, Any]:
    return {"name": "drawdown", "type": "query alert", "query": QUERY} | changes


async def create_monitor(ask, **changes: Any) -> int:
    status, body = await ask("POST", "/api/v1/monitor", monitor(**changes))
    assert status == 200, body
    return int(body["id"])


async def test_created_monitor_is_returned_with_server_fields(ask) -> None:
    sent = monitor(tags=["Team:Trading", "env:prod"], options={"thresholds": {"critical": 15}})
    _, body = await ask("POST", "/api/v1/monitor", sent)
    status, read = await ask("GET", f"/api/v1/monitor/{body['id']}")

    assert status == 200
    assert read == body
    assert read["tags"] == ["env:prod", "team:trading"]
    assert read["multi"] is True
    assert read["overall_state"] == "No Data"
    assert read["options"]["thresholds"] == {"critical": 15.0}
    assert read["options"]["require_full_window"] is True


async def test_an_identical_monitor_is_rejected_with_the_id_of_the_first(ask) -> None:
    first = await create_monitor(ask)
    status, body = await ask("POST", "/api/v1/monitor", monitor(type="metric alert"))

    assert status == 400
    assert body == {"errors": [f"Duplicate of an existing monitor_id:{first} org_id:1000001"]}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"type": "nosuch"}, "type: "),
        ({"colour": "red"}, "colour: unknown field"),
        ({"query": "avg(last_5m):x > 1"}, "The value provided for parameter 'query' is invalid"),
        (
            {"options": {"thresholds": {"critical": 14}}},
            "Alert threshold (14.0) does not match that used in the query (15.0).",
        ),
        ({"options": {"thresholds": {"warning": 10}}}, "Alert status is required."),
        (
            {"options": {"thresholds": {"critical": 15, "critical_recovery": 16}}},
            "alert and alert recovery criteria are such that the monitor can be simultaneously",
        ),
        (
            {"options": {"thresholds": {"critical": 15, "warning": 10, "warning_recovery": 11}}},
            "warning and warning recovery criteria",
        ),
        (
            {"options": {"thresholds": {"critical": 15, "warning": 20}}},
            "Alert threshold (15) must be above warning (20).",
        ),
        ({"type": "composite", "query": "1 && 2"}, "Some monitor IDs are invalid"),
        (
            {
                "type": "slo alert",
                "query": 'burn_rate("abc").over("30d").long_window("1h").short_window("5m") > 14',
            },
            "SLO not found: abc",
        ),
        (
            {
                "type": "log alert",
                "query": LOGS,
                "options": {"thresholds": {"critical": 5, "critical_recovery": 4}},
            },
            "Invalid threshold statuses found: critical_recovery.",
        ),
    ],
)
async def test_invalid_monitor_is_rejected(ask, changes, error) -> None:
    status, body = await ask("POST", "/api/v1/monitor", monitor(**changes))
    validated, _ = await ask("POST", "/api/v1/monitor/validate", monitor(**changes))

    assert (status, validated) == (400, 400)
    assert error in body["errors"][0]


async def test_validation_creates_nothing(api, ask) -> None:
    assert await ask("POST", "/api/v1/monitor/validate", monitor()) == (200, {})
    assert api.organisation.monitors == {}


async def test_update_keeps_omitted_fields_and_accepts_the_returned_monitor(
    ask,
) -> None:
    number = await create_monitor(ask, tags=["a:b"], message="hello")
    _, read = await ask("GET", f"/api/v1/monitor/{number}")
    status, renamed = await ask("PUT", f"/api/v1/monitor/{number}", {"name": "other"})
    again, whole = await ask("PUT", f"/api/v1/monitor/{number}", read)

    assert (status, again) == (200, 200), whole
    assert (renamed["name"], renamed["message"], renamed["tags"]) == ("other", "hello", ["a:b"])
    assert whole["name"] == "drawdown"


async def test_monitor_type_cannot_be_changed(ask) -> None:
    number = await create_monitor(ask)
    body = {"type": "log alert", "query": LOGS}

    assert await ask("PUT", f"/api/v1/monitor/{number}", body) == (
        400,
        {"errors": ["The monitor type cannot be changed"]},
    )
    assert (await ask("PUT", f"/api/v1/monitor/{number}", {"colour": "red"}))[0] == 400


async def test_change_is_validated_without_being_applied(ask) -> None:
    number = await create_monitor(ask)
    path = f"/api/v1/monitor/{number}/validate"

    assert await ask("POST", path, monitor(name="other")) == (200, {})
    assert (await ask("POST", path, monitor(query="nonsense")))[0] == 400
    assert (await ask("GET", f"/api/v1/monitor/{number}"))[1]["name"] == "drawdown"


async def test_new_query_resets_the_state(api, ask) -> None:
    number = await create_monitor(ask)
    stored = api.organisation.monitors[number]
    stored.overall_state, stored.groups = "Alert", {"agent_id:a": {"status": "Alert"}}
    await ask("PUT", f"/api/v1/monitor/{number}", {"query": QUERY.replace("production", "test")})

    assert (stored.overall_state, stored.groups) == ("No Data", {})


async def test_group_states_are_returned_on_request(api, ask) -> None:
    number = await create_monitor(ask)
    stored = api.organisation.monitors[number]
    stored.groups = {"agent_id:a": {"status": "Alert"}, "agent_id:b": {"status": "OK"}}

    async def groups(states: str) -> Any:
        _, body = await ask("GET", f"/api/v1/monitor/{number}?group_states={states}")
        return body.get("state", {}).get("groups")

    assert await groups("") is None
    assert set(await groups("all")) == {"agent_id:a", "agent_id:b"}
    assert await groups("alert") == {"agent_id:a": {"name": "agent_id:a", "status": "Alert"}}


async def test_monitors_are_filtered_by_tags_and_name(ask) -> None:
    first = await create_monitor(ask, tags=["a:1", "b:2"])
    await create_monitor(ask, name="other", tags=["a:1"])

    async def listed_ids(query: str) -> list[int]:
        _, body = await ask("GET", f"/api/v1/monitor?{query}")
        return [one["id"] for one in body]

    assert len(await listed_ids("monitor_tags=a:1")) == 2
    assert await listed_ids("monitor_tags=a:1,b:2") == [first]
    assert await listed_ids("name=draw") == [first]
    assert await listed_ids("monitor_tags=a") == []


async def test_list_is_paged_only_on_request(ask) -> None:
    numbers = [await create_monitor(ask, name=f"n{index}") for index in range(5)]

    async def listed_ids(query: str) -> list[int]:
        _, body = await ask("GET", f"/api/v1/monitor?{query}")
        return [one["id"] for one in body]

    assert await listed_ids("") == numbers
    assert await listed_ids("page=0&page_size=2") == numbers[:2]
    assert await listed_ids("page=2&page_size=2") == numbers[4:]
    assert await listed_ids(f"id_offset={numbers[2]}&page_size=10") == numbers[3:]
    assert (await ask("GET", "/api/v1/monitor?page=x"))[0] == 400


async def test_member_can_be_deleted_only_after_its_composite(ask) -> None:
    first, second = await create_monitor(ask), await create_monitor(ask, name="second")
    both = await create_monitor(ask, name="both", type="composite", query=f"{first} && !{second}")
    refused, why = await ask("DELETE", f"/api/v1/monitor/{first}")
    blocked, ids = await ask("GET", f"/api/v1/monitor/can_delete?monitor_ids={first},{both}")

    assert refused == 400
    assert why["errors"] == [
        f"monitor [{first},drawdown] is referenced in composite monitors: [{both},both]"
    ]
    assert (blocked, ids["data"], list(ids["errors"])) == (409, {"ok": [both]}, [str(first)])
    assert (
        await ask(
            "POST",
            "/api/v1/monitor",
            monitor(name="x", type="composite", query=f"{both} && {first}"),
        )
    )[0] == 400
    assert await ask("DELETE", f"/api/v1/monitor/{both}") == (200, {"deleted_monitor_id": both})
    assert (await ask("DELETE", f"/api/v1/monitor/{first}"))[0] == 200


async def test_force_deletes_a_member(ask) -> None:
    first, second = await create_monitor(ask), await create_monitor(ask, name="second")
    await create_monitor(ask, name="both", type="composite", query=f"{first} || {second}")

    assert (await ask("DELETE", f"/api/v1/monitor/{first}?force=true"))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_missing_monitor_is_a_404(ask, method) -> None:
    expected = (404, {"errors": ["Monitor not found"]})

    assert await ask(method, "/api/v1/monitor/5", {}) == expected
    assert await ask(method, "/api/v1/monitor/five", {}) == expected


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ('tag:"a:1"', 1),
        ("draw", 1),
        ("type:log", 1),
        ('status:"No Data"', 2),
        ('status:"No Data" type:query', 1),
        ("id:7", 0),
    ],
)
async def test_search_supports_name_parts_and_fields(ask, query, count) -> None:
    await create_monitor(ask, tags=["a:1"])
    await create_monitor(ask, name="logs", type="log alert", query=LOGS)
    status, body = await ask("GET", "/api/v1/monitor/search", params={"query": query})

    assert status == 200
    assert body["metadata"]["total_count"] == count
    assert len(body["monitors"]) == count


async def test_search_with_an_open_quote_is_rejected(ask) -> None:
    assert (await ask("GET", "/api/v1/monitor/search", params={"query": '"open'}))[0] == 400

"""Service checks in the intake: one entry per check with status and changes, filtered by name and tag."""

import aiohttp
import pytest

from purpleflea_sandbox.datadog.intake.check_store import CheckStore

API_KEY = "test-key"


def report(status: int, at: int, agent: str = "momentum-0", **more):
    return {
        "check": "purpleflea.agent.can_connect",
        "status": status,
        "timestamp": at,
        "host_name": "node-1",
        "tags": [f"agent_id:{agent}", "strategy:Momentum"],
        **more,
    }


def test_check_is_one_entry_with_status_and_changes() -> None:
    store = CheckStore()
    for status, at in ((0, 1), (0, 2), (2, 3), (2, 4), (0, 5)):
        store.add(report(status, at, message="gone" if status else ""))

    (check,) = store.find()
    assert (check.status, check.message, check.timestamp, check.count) == (0, "", 5, 5)
    assert list(check.changes) == [(1, 0), (3, 2), (5, 0)]


def test_the_least_recently_reported_check_is_removed_first() -> None:
    store = CheckStore(max_checks=2)
    for agent in ("a", "b", "a", "c"):
        store.add(report(0, 1, agent))

    assert [check.tags[0] for check in store.find()] == ["agent_id:c", "agent_id:a"]


@pytest.mark.parametrize(
    "bad", [{}, {"check": "x"}, {"check": "", "status": 0}, {"check": "x", "status": 9}]
)
async def test_invalid_service_check_is_rejected(intake, session, bad) -> None:
    url, headers = f"{intake.url}/api/v1/check_run", {"DD-API-KEY": API_KEY}
    async with session.post(url, json=[bad], headers=headers) as response:
        assert response.status == 400


async def test_checks_are_filtered_by_name_and_tags(intake, session: aiohttp.ClientSession) -> None:
    reports = [report(0, 1, "momentum-0"), report(2, 2, "momentum-1"), report(0, 3, check="other")]
    url, headers = f"{intake.url}/api/v1/check_run", {"DD-API-KEY": API_KEY}
    async with session.post(url, json=reports, headers=headers) as response:
        assert response.status == 202

    async def query_checks(query: str):
        async with session.get(f"{intake.url}/received/checks?{query}") as response:
            assert response.status == 200
            return [(one["check"], one["status"]) for one in (await response.json())["checks"]]

    name = "purpleflea.agent.can_connect"
    assert await query_checks("") == [("other", 0), (name, 2), (name, 0)]
    assert await query_checks(f"name={name}&tag=agent_id:momentum-1&tag=strategy:momentum") == [
        (name, 2)
    ]
    assert await query_checks("tag=host:node-1&limit=1") == [("other", 0)]
    assert await query_checks("tag=agent_id:unknown") == []
    async with session.get(f"{intake.url}/received/checks?limit=none") as response:
        assert response.status == 400

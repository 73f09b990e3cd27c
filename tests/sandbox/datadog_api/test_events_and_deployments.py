"""Events of both versions, and DORA deployments."""

from typing import Any

import pytest


def deployment(**attributes: Any) -> dict[str, Any]:
    usual = {"service": "agents", "started_at": 1_700_000_000, "finished_at": 1_700_000_060}
    return {"data": {"attributes": usual | attributes}}


async def test_events_are_filtered_by_time_and_tags(ask) -> None:
    event = {"title": "Deployed", "text": "1.2.3", "tags": ["a:b"], "date_happened": 500}
    status, created = await ask("POST", "/api/v1/events", event)
    number = created["event"]["id"]

    async def event_ids(query: str) -> list[int]:
        _, body = await ask("GET", f"/api/v1/events?{query}")
        return [one["id"] for one in body["events"]]

    assert (status, created["status"]) == (202, "ok")
    assert await event_ids("start=400&end=600&tags=a:b") == [number]
    assert await event_ids("start=501&end=600") == []
    assert await event_ids("start=400&end=600&tags=a:c") == []
    assert (await ask("GET", "/api/v1/events?start=400"))[0] == 400
    assert (await ask("GET", f"/api/v1/events/{number}"))[1]["event"]["title"] == "Deployed"
    assert (await ask("GET", "/api/v1/events/7"))[0] == 404


@pytest.mark.parametrize(
    "change", [{"title": None}, {"text": "x" * 4001}, {"alert_type": "shrill"}, {"colour": "red"}]
)
async def test_invalid_event_is_rejected(ask, change) -> None:
    event = {"title": "Deployed", "text": "1.2.3"} | change

    assert (await ask("POST", "/api/v1/events", event))[0] == 400


async def test_version_2_lists_the_events_of_both(ask) -> None:
    inner = {"changed_resource": {"type": "configuration", "name": "agents"}}
    attributes = {"category": "change", "title": "Changed", "attributes": inner}
    body = {"data": {"type": "event", "attributes": attributes}}
    await ask("POST", "/api/v1/events", {"title": "Deployed", "text": "1.2.3"})
    status, _ = await ask("POST", "/api/v2/events", body)
    _, listed = await ask("GET", "/api/v2/events")

    assert status == 202
    titles = [one["attributes"]["attributes"]["title"] for one in listed["data"]]
    assert titles == ["Changed", "Deployed"]
    assert (await ask("POST", "/api/v2/events", {"data": {"type": "event"}}))[0] == 400


async def test_deployment_with_a_repeated_id_replaces_the_first(api, ask) -> None:
    sent = deployment(id="momentum-1.2.3-aaaa", version="1.2.3")
    first = await ask("POST", "/api/v2/dora/deployment", sent)
    second = await ask("POST", "/api/v2/dora/deployment", sent)

    assert (
        first
        == second
        == (200, {"data": {"id": sent["data"]["attributes"]["id"], "type": "dora_deployment"}})
    )
    assert len(api.organisation.deployments) == 1


async def test_times_are_stored_in_nanoseconds_for_every_sent_unit(api, ask) -> None:
    for factor in (1, 10**3, 10**9):
        times = dict.fromkeys(("started_at", "finished_at"), 1700000000 * factor)
        assert (await ask("POST", "/api/v2/dora/deployment", deployment(**times)))[0] == 200

    kept = {one["started_at"] for one in api.organisation.deployments.values()}
    assert (len(api.organisation.deployments), kept) == (3, {1_700_000_000 * 10**9})


@pytest.mark.parametrize(
    "change",
    [
        {"id": "short"},
        {"id": "x" * 129},
        {"service": 5},
        {"colour": "red"},
        {"finished_at": 1_600_000_000},
        {"started_at": "yesterday"},
    ],
)
async def test_invalid_deployment_is_rejected(ask, change) -> None:
    assert (await ask("POST", "/api/v2/dora/deployment", deployment(**change)))[0] == 400


async def test_the_memory_of_deployments_is_bounded(api) -> None:
    stored = api.organisation.deployments
    for number in range(5_001):
        stored[str(number)] = {}
    api.organisation.remove_oldest_deployments()

    assert (len(stored), next(iter(stored))) == (5_000, "1")


async def test_an_invalid_deployment_list_request_is_rejected(ask) -> None:
    assert (await ask("POST", "/api/v2/dora/deployments", {"colour": "red"}))[0] == 400


async def test_deployments_are_listed_newest_first(ask) -> None:
    for number, service in enumerate(("agents", "other", "agents")):
        times = dict.fromkeys(("started_at", "finished_at"), 1700000000 + number)
        body = deployment(service=service, id=f"deployment-number-{number}", **times)
        await ask("POST", "/api/v2/dora/deployment", body)
    query = {
        "data": {"attributes": {"query": "service:agents"}, "type": "dora_deployments_list_request"}
    }
    status, body = await ask("POST", "/api/v2/dora/deployments", query)

    assert status == 200
    assert [one["id"][-1] for one in body["data"]] == ["2", "0"]
    path = "/api/v2/dora/deployments/deployment-number-1"
    assert (await ask("GET", path))[1]["data"]["attributes"]["service"] == "other"
    assert (await ask("DELETE", "/api/v2/dora/deployment/deployment-number-1"))[0] == 202
    assert (await ask("GET", path))[0] == 404

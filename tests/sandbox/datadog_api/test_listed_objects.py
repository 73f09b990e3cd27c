"""Objects that the end-to-end tests compare before and after: every object of every kind that a resource can create."""

import asyncio
import json
import urllib.request
from typing import Any

from support.datadog_api import KEYS
from support.datadog_objects import held
from support.observability_scenario import KIND, NAME, NS, Scenario


async def current_objects(scenario: Scenario) -> dict[str, list[str]]:
    def ask(path: str) -> Any:
        request = urllib.request.Request(scenario.datadog.url + path, headers=KEYS)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    return await asyncio.to_thread(held, ask)


async def test_every_object_of_a_resource_is_listed_and_deleted_with_it() -> None:
    async with Scenario() as scenario:
        scenario.report_metrics()
        scenario.put(features={"logIndex": True, "anomalies": True})
        before = await current_objects(scenario)
        await scenario.reconcile()
        created = await current_objects(scenario)
        for item in scenario.status["objects"]:
            if item["kind"] != "log-index-order":
                assert item["id"] in created[item["kind"]], item
        assert created["log-index-order"] == ["purpleflea-agents", "main"]
        scenario.server.delete(KIND, NS, NAME)
        await scenario.reconcile()
        assert await current_objects(scenario) == before

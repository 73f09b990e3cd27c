"""Adopted objects get a tag, so that neither a crash nor a lost status allows the operator to delete them."""

import pytest

from purpleflea_operator.datadog.client.errors import Duplicate
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from support.observability_scenario import KIND, NAME, NS, AnswerLimit, Killed, Scenario


class UnlistedMonitorClient:
    """Client whose lists omit one monitor, and which reports a created monitor as its duplicate."""

    def __init__(self, client, hidden, name):
        self._client = client
        self._hidden = hidden
        self._name = name

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def create(self, kind, body):
        if kind is ObjectKind.MONITOR and body["name"].endswith(self._name):
            raise Duplicate("Duplicate of an existing monitor", self._hidden)
        return await self._client.create(kind, body)


async def a_twin(scenario, name="high drawdown", **spec):
    """Return a foreign monitor that equals the desired one. The status is lost."""
    scenario.put(**spec)
    await scenario.reconcile()
    monitors = scenario.datadog.organisation.monitors.values()
    twin = next(one for one in monitors if one.definition["name"].endswith(name))
    twin.definition["tags"] = ["team:trading"]
    lose_status(scenario)
    scenario.wrap_client = lambda client: UnlistedMonitorClient(client, str(twin.id), name)
    return twin


def lose_status(scenario):
    scenario.server.put({**scenario.resource, "status": {}})


def unwrap_client(scenario):
    scenario.wrap_client = lambda client: client


async def remaining_after_deletion(scenario):
    unwrap_client(scenario)
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    assert scenario.resource is None
    return list(scenario.datadog.organisation.monitors)


async def test_an_adopted_monitor_gets_the_adopted_tag(scenario):
    twin = await a_twin(scenario)
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert [(one.method, one.path) for one in scenario.datadog.request_log.writes()] == [
        ("PUT", f"/api/v1/monitor/{twin.id}")
    ]
    assert "purpleflea-adopted:true" in twin.tags
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert scenario.datadog.request_log.writes() == []


@pytest.mark.timeout(300)
async def test_an_adopted_monitor_is_never_deleted_after_a_kill_at_any_answer():
    limit, number = AnswerLimit(None), 0
    while number <= limit.received:
        async with Scenario() as scenario:
            scenario.report_metrics()
            twin = await a_twin(scenario)
            counted = AnswerLimit(number or None)
            try:
                await scenario.reconcile(limit=counted)
            except Killed:
                await scenario.reconcile_until_done()
            limit = limit if number else counted
            assert scenario.record("drawdown")["adopted"] is True, number
            assert await remaining_after_deletion(scenario) == [twin.id], number
        number += 1
    assert number > 10


async def test_an_adopted_monitor_is_not_deleted_after_the_status_was_lost(scenario):
    twin = await a_twin(scenario)
    await scenario.reconcile()
    unwrap_client(scenario)
    lose_status(scenario)
    await scenario.reconcile()
    assert scenario.record("drawdown")["adopted"] is True
    lose_status(scenario)
    assert await remaining_after_deletion(scenario) == [twin.id]


async def test_an_edited_adopted_monitor_is_restored_and_not_deleted(scenario):
    twin = await a_twin(scenario)
    await scenario.reconcile()
    unwrap_client(scenario)
    twin.definition["tags"] = [tag for tag in twin.tags if "adopted" not in tag]
    await scenario.reconcile()
    assert "purpleflea-adopted:true" in twin.tags
    twin.definition["message"] = "my own words"
    lose_status(scenario)
    await scenario.reconcile()
    assert twin.definition["message"] != "my own words"
    assert await remaining_after_deletion(scenario) == [twin.id]


@pytest.mark.parametrize("mode", ["Manage", "Plan"])
async def test_an_adopted_monitor_of_a_disabled_feature_stays_in_every_pass(scenario, mode):
    twin = await a_twin(scenario, "unusual loss", features={"anomalies": True})
    await scenario.reconcile()
    unwrap_client(scenario)
    scenario.put(mode=mode, features={"anomalies": False})
    for _ in range(3):
        await scenario.reconcile()
        record = scenario.record("pnl-anomaly")
        assert (record["state"], record["adopted"]) == ("Left", True)
    assert twin.id in scenario.datadog.organisation.monitors
    scenario.put(mode="Manage", features={"anomalies": True})
    await scenario.reconcile()
    assert scenario.record("pnl-anomaly")["state"] == "InSync"
    assert await remaining_after_deletion(scenario) == [twin.id]


async def test_the_record_of_a_deleted_adopted_monitor_is_removed_with_its_feature(scenario):
    twin = await a_twin(scenario, "unusual loss", features={"anomalies": True})
    await scenario.reconcile()
    unwrap_client(scenario)
    del scenario.datadog.organisation.monitors[twin.id]
    scenario.put(features={"anomalies": False})
    await scenario.reconcile()
    assert "pnl-anomaly" not in {item["key"] for item in scenario.status["objects"]}

"""Objects that no list shows: they are read by id, at a limited cost, and may be unreadable."""

import pytest

from support.desired_objects import MONITORS
from support.observability_scenario import KIND, NAME, NS

MAX_READS = 12
RESYNC_S = 600


def write_paths(scenario, method="PUT"):
    return [one.path for one in scenario.datadog.request_log.writes() if one.method == method]


async def reads_per_look(scenario, number):
    """Run passes one resync period apart and return the number of reads of each."""
    reads = []
    for _ in range(number):
        scenario.datadog.request_log.clear()
        scenario.pass_time(RESYNC_S)
        await scenario.reconcile()
        reads.append(len(scenario.datadog.request_log.reads()))
    return reads


@pytest.fixture
async def stripped(scenario):
    """Remove the tags of every monitor under driftPolicy Keep."""
    spec = {"driftPolicy": "Keep", "features": {"logIndex": True}}
    scenario.put(**spec)
    await scenario.reconcile()
    for monitor in scenario.datadog.organisation.monitors.values():
        monitor.definition["tags"] = ["team:trading"]
    await scenario.reconcile()
    return spec


async def test_kept_edits_do_not_increase_the_reads_of_a_look(scenario, stripped):
    scenario.server.clear()
    assert max(await reads_per_look(scenario, 3)) <= MAX_READS
    assert scenario.datadog.request_log.writes() == []
    assert scenario.server.writes() == []
    assert scenario.record("drawdown")["change"] == "tags"


async def test_the_deletion_of_an_unlisted_object_is_detected_in_rotation(scenario, stripped):
    del scenario.datadog.organisation.monitors[int(scenario.record("heartbeat")["id"])]
    assert max(await reads_per_look(scenario, MONITORS)) <= MAX_READS
    assert len(scenario.datadog.organisation.monitors) == MONITORS
    assert scenario.events()["ObjectsRemade"].endswith(": monitor/heartbeat")


async def test_a_changed_spec_is_applied_to_unlisted_objects_immediately(scenario, stripped):
    scenario.datadog.request_log.clear()
    scenario.put(**stripped, thresholds={"balance": {"critical": 40}})
    await scenario.reconcile()
    assert f"/api/v1/monitor/{scenario.record('wallet-balance')['id']}" in write_paths(scenario)
    assert "unlisted" not in scenario.record("wallet-balance")
    assert scenario.record("drawdown")["unlisted"] is True


async def test_mode_plan_reads_a_manually_deleted_object_only_once(scenario):
    scenario.put()
    await scenario.reconcile()
    scenario.put(mode="Plan")
    scenario.datadog.organisation.monitors.clear()
    await scenario.reconcile()
    assert scenario.record("drawdown")["change"] == "create"
    assert max(await reads_per_look(scenario, 2)) <= MAX_READS
    scenario.put(mode="Manage")
    await scenario.reconcile()
    assert len(scenario.datadog.organisation.monitors) == MONITORS


@pytest.fixture
async def unreadable(scenario):
    """Make a monitor unlisted and unreadable, and return its id."""
    scenario.put()
    await scenario.reconcile()
    identifier = scenario.record("drawdown")["id"]
    scenario.datadog.organisation.monitors[int(identifier)].definition["tags"] = []
    path = f"/api/v1/monitor/{identifier}"
    scenario.datadog.fail({"kind": "status", "status": 403, "method": "GET", "path_prefix": path})
    scenario.datadog.request_log.clear()
    return identifier


async def test_an_unreadable_object_does_not_affect_others(scenario, unreadable):
    scenario.put(thresholds={"balance": {"critical": 40}})
    await scenario.reconcile()
    assert write_paths(scenario) == [f"/api/v1/monitor/{scenario.record('wallet-balance')['id']}"]
    record = scenario.record("drawdown")
    assert (record["state"], record["id"]) == ("Failed", unreadable)
    assert record["lastError"].startswith("403")
    assert scenario.condition("Synced")["reason"] == "ObjectsFailed"
    assert scenario.record("wallet-balance")["state"] == "InSync"


async def test_an_unreadable_object_is_not_created_again(scenario, unreadable):
    for _ in range(3):
        await reads_per_look(scenario, 1)
        assert write_paths(scenario, "POST") == []
    assert len(scenario.datadog.organisation.monitors) == MONITORS
    scenario.datadog.fail()
    await reads_per_look(scenario, 1)
    assert scenario.record("drawdown")["state"] == "InSync"
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    assert scenario.datadog.organisation.monitors == {}

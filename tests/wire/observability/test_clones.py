"""Clones of managed objects have the same ownership tags. They are not changed, and they are reported."""

import pytest

from support.observability_scenario import KIND, NAME, NS

COPIED = ("type", "query", "message", "tags", "options", "priority")


@pytest.fixture
async def clones(scenario, call_api):
    """Clone a monitor and a dashboard under other names, as a user would. Return the ids by kind."""
    scenario.put()
    await scenario.reconcile()
    monitor, dashboard = await originals(scenario, call_api)
    clone = {name: monitor[name] for name in COPIED} | {"name": "drawdown, for the desk"}
    _, cloned_monitor = await call_api("POST", "/api/v1/monitor", clone)
    dashboard["title"] += " (cloned)"
    del dashboard["id"]
    _, cloned_dashboard = await call_api("POST", "/api/v1/dashboard", dashboard)
    return {"monitor": cloned_monitor["id"], "dashboard": cloned_dashboard["id"]}


async def originals(scenario, call_api):
    _, monitor = await call_api("GET", f"/api/v1/monitor/{scenario.record('drawdown')['id']}")
    path = f"/api/v1/dashboard/{scenario.record('fleet', 'dashboard')['id']}"
    _, dashboard = await call_api("GET", path)
    shown = ("id", "layout_type", "widgets", "description", "template_variables", "title")
    return monitor, {name: dashboard[name] for name in shown if name in dashboard}


def exist(scenario, clones):
    organisation = scenario.datadog.organisation
    return (
        clones["monitor"] in organisation.monitors,
        clones["dashboard"] in organisation.dashboards,
    )


async def test_a_clone_is_not_changed_and_is_named(scenario, clones):
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert scenario.datadog.request_log.writes() == []
    message = scenario.condition("Synced")["message"]
    assert f"monitor/drawdown ({clones['monitor']})" in message
    assert f"dashboard/fleet ({clones['dashboard']})" in message
    assert scenario.condition("Ready")["status"] == "True"
    scenario.server.clear()
    await scenario.reconcile()
    assert scenario.server.writes() == []


@pytest.mark.parametrize("is_lost", [False, True])
async def test_clones_are_kept_and_reported_when_the_resource_is_deleted(scenario, clones, is_lost):
    if is_lost:
        scenario.server.put({**scenario.resource, "status": {}})
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    assert scenario.resource is None
    assert exist(scenario, clones) == (True, True)
    organisation = scenario.datadog.organisation
    assert (len(organisation.monitors), len(organisation.dashboards)) == (1, 1)
    assert f"monitor/drawdown ({clones['monitor']})" in scenario.events()["LeftBehind"]


@pytest.mark.parametrize("first", ["0-clone", "zz-clone"])
async def test_after_a_lost_status_the_original_is_recognized_by_its_name(scenario, clones, first):
    """Ids of dashboards are random, so they do not show which one is older."""
    dashboards = scenario.datadog.organisation.dashboards
    dashboards[first] = {**dashboards.pop(clones["dashboard"]), "id": first}
    before = [scenario.record(*one)["id"] for one in (("drawdown",), ("fleet", "dashboard"))]
    scenario.server.put({**scenario.resource, "status": {}})
    await scenario.reconcile()
    assert [
        scenario.record(*one)["id"] for one in (("drawdown",), ("fleet", "dashboard"))
    ] == before
    assert first in dashboards


async def test_a_clone_does_not_replace_a_deleted_original(scenario, clones):
    del scenario.datadog.organisation.monitors[int(scenario.record("drawdown")["id"])]
    await scenario.reconcile()
    clone = scenario.datadog.organisation.monitors[clones["monitor"]]
    assert clone.definition["name"] == "drawdown, for the desk"
    assert scenario.record("drawdown")["id"] not in ("", str(clones["monitor"]))
    assert len(scenario.datadog.organisation.monitors) == 12


async def test_a_clone_with_the_same_name_but_another_threshold_is_not_removed(scenario, call_api):
    scenario.put()
    await scenario.reconcile()
    monitor, _ = await originals(scenario, call_api)
    stricter = monitor["query"].rpartition(" ")[0] + " 35"
    clone = {name: monitor[name] for name in (*COPIED, "name")} | {"query": stricter}
    clone["options"]["thresholds"] = {"critical": 35}
    status, cloned = await call_api("POST", "/api/v1/monitor", clone)
    assert status == 200
    await scenario.reconcile()
    assert cloned["id"] in scenario.datadog.organisation.monitors


async def test_every_removal_is_reported(scenario):
    scenario.put()
    await scenario.reconcile()
    notebook = scenario.record("weekly-report", "notebook")["id"]
    (pipeline,) = scenario.datadog.organisation.logs.pipelines.values()
    scenario.datadog.organisation.logs.pipelines["late"] = {**pipeline, "id": "late"}
    scenario.put(features={"notebook": False})
    await scenario.reconcile()
    assert scenario.events()["ObjectsRemoved"].endswith(
        f": notebook/weekly-report ({notebook}), log-pipeline/agents (late)"
    )


@pytest.fixture
async def untagged(scenario):
    """Replace the tags of a monitor under driftPolicy Keep, and return its id."""
    scenario.put(driftPolicy="Keep")
    await scenario.reconcile()
    identifier = scenario.record("drawdown")["id"]
    scenario.datadog.organisation.monitors[int(identifier)].definition["tags"] = ["team:trading"]
    await scenario.reconcile()
    return identifier


async def test_an_object_without_its_tags_stays_and_is_reported_at_deletion(scenario, untagged):
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    assert scenario.resource is None
    assert list(scenario.datadog.organisation.monitors) == [int(untagged)]
    assert scenario.events()["Removed"] == "34 objects were removed from Datadog"
    assert f"monitor/drawdown ({untagged})" in scenario.events()["LeftBehind"]


async def test_a_deleted_object_without_its_tags_is_not_reported(scenario, untagged):
    del scenario.datadog.organisation.monitors[int(untagged)]
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    assert scenario.resource is None
    assert "LeftBehind" not in scenario.events()


async def test_an_unreadable_object_is_reported_at_deletion(scenario, untagged):
    refusal = {"kind": "status", "status": 403, "path_prefix": f"/api/v1/monitor/{untagged}"}
    scenario.datadog.fail(refusal)
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    assert scenario.resource is None
    assert untagged in scenario.events()["LeftBehind"]


async def test_an_object_without_tags_of_a_disabled_feature_is_reported(scenario):
    scenario.put(driftPolicy="Keep", features={"anomalies": True})
    await scenario.reconcile()
    identifier = scenario.record("pnl-anomaly")["id"]
    scenario.datadog.organisation.monitors[int(identifier)].definition["tags"] = []
    await scenario.reconcile()
    scenario.put(driftPolicy="Keep", features={"anomalies": False})
    await scenario.reconcile()
    assert int(identifier) in scenario.datadog.organisation.monitors
    assert scenario.events()["ObjectsLeft"].endswith(f"monitor/pnl-anomaly ({identifier})")

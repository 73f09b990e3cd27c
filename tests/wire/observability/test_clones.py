"""Whoever clones an object of ours copies its mark: a clone is left to them, and told."""

import pytest

from support.observability_trial import KIND, NAME, NS

COPIED = ("type", "query", "message", "tags", "options", "priority")


@pytest.fixture
async def clones(trial, ask):
    """A monitor and a dashboard that somebody cloned, to change them; ids by kind."""
    trial.put()
    await trial.look()
    monitor, dashboard = await originals(trial, ask)
    mine = {name: monitor[name] for name in COPIED} | {"name": "drawdown, for the desk"}
    _, made = await ask("POST", "/api/v1/monitor", mine)
    dashboard["title"] += " (cloned)"
    del dashboard["id"]
    _, shown = await ask("POST", "/api/v1/dashboard", dashboard)
    return {"monitor": made["id"], "dashboard": shown["id"]}


async def originals(trial, ask):
    _, monitor = await ask("GET", f"/api/v1/monitor/{trial.entry('drawdown')['id']}")
    path = f"/api/v1/dashboard/{trial.entry('fleet', 'dashboard')['id']}"
    _, dashboard = await ask("GET", path)
    shown = ("id", "layout_type", "widgets", "description", "template_variables", "title")
    return monitor, {name: dashboard[name] for name in shown if name in dashboard}


def stand(trial, clones):
    organisation = trial.datadog.organisation
    return (
        clones["monitor"] in organisation.monitors,
        clones["dashboard"] in organisation.dashboards,
    )


async def test_a_clone_is_left_alone_and_named(trial, clones):
    trial.datadog.request_log.clear()
    await trial.look()
    assert trial.datadog.request_log.writes() == []
    message = trial.condition("Synced")["message"]
    assert f"monitor/drawdown ({clones['monitor']})" in message
    assert f"dashboard/fleet ({clones['dashboard']})" in message
    assert trial.condition("Ready")["status"] == "True"
    trial.server.clear()
    await trial.look()
    assert trial.server.writes() == []


@pytest.mark.parametrize("is_lost", [False, True])
async def test_clones_outlive_the_resource_and_are_told_of(trial, clones, is_lost):
    if is_lost:
        trial.server.put({**trial.resource, "status": {}})
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    assert trial.resource is None
    assert stand(trial, clones) == (True, True)
    organisation = trial.datadog.organisation
    assert (len(organisation.monitors), len(organisation.dashboards)) == (1, 1)
    assert f"monitor/drawdown ({clones['monitor']})" in trial.events()["LeftBehind"]


@pytest.mark.parametrize("first", ["0-clone", "zz-clone"])
async def test_with_the_status_lost_the_original_is_known_by_its_name(trial, clones, first):
    """Ids of dashboards are random: the older one cannot be told by them."""
    dashboards = trial.datadog.organisation.dashboards
    dashboards[first] = {**dashboards.pop(clones["dashboard"]), "id": first}
    before = [trial.entry(*one)["id"] for one in (("drawdown",), ("fleet", "dashboard"))]
    trial.server.put({**trial.resource, "status": {}})
    await trial.look()
    assert [trial.entry(*one)["id"] for one in (("drawdown",), ("fleet", "dashboard"))] == before
    assert first in dashboards


async def test_where_the_original_is_deleted_the_clone_does_not_take_its_place(trial, clones):
    del trial.datadog.organisation.monitors[int(trial.entry("drawdown")["id"])]
    await trial.look()
    clone = trial.datadog.organisation.monitors[clones["monitor"]]
    assert clone.definition["name"] == "drawdown, for the desk"
    assert trial.entry("drawdown")["id"] not in ("", str(clones["monitor"]))
    assert len(trial.datadog.organisation.monitors) == 12


async def test_a_clone_with_our_name_and_another_threshold_is_no_double(trial, ask):
    trial.put()
    await trial.look()
    monitor, _ = await originals(trial, ask)
    stricter = monitor["query"].rpartition(" ")[0] + " 35"
    mine = {name: monitor[name] for name in (*COPIED, "name")} | {"query": stricter}
    mine["options"]["thresholds"] = {"critical": 35}
    status, made = await ask("POST", "/api/v1/monitor", mine)
    assert status == 200
    await trial.look()
    assert made["id"] in trial.datadog.organisation.monitors


async def test_every_removal_is_told(trial):
    trial.put()
    await trial.look()
    notebook = trial.entry("weekly-report", "notebook")["id"]
    (pipeline,) = trial.datadog.organisation.logs.pipelines.values()
    trial.datadog.organisation.logs.pipelines["late"] = {**pipeline, "id": "late"}
    trial.put(features={"notebook": False})
    await trial.look()
    assert trial.events()["ObjectsRemoved"].endswith(
        f": notebook/weekly-report ({notebook}), log-pipeline/agents (late)"
    )


@pytest.fixture
async def unmarked(trial):
    """A monitor whose tags somebody replaced, and that stays so; its id."""
    trial.put(driftPolicy="Keep")
    await trial.look()
    identifier = trial.entry("drawdown")["id"]
    trial.datadog.organisation.monitors[int(identifier)].definition["tags"] = ["team:trading"]
    await trial.look()
    return identifier


async def test_what_lost_its_mark_stays_and_is_named_at_the_end(trial, unmarked):
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    assert trial.resource is None
    assert list(trial.datadog.organisation.monitors) == [int(unmarked)]
    assert trial.events()["Removed"] == "34 objects are removed from Datadog"
    assert f"monitor/drawdown ({unmarked})" in trial.events()["LeftBehind"]


async def test_what_lost_its_mark_and_is_gone_is_not_named(trial, unmarked):
    del trial.datadog.organisation.monitors[int(unmarked)]
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    assert trial.resource is None
    assert "LeftBehind" not in trial.events()


async def test_what_may_not_be_read_at_the_end_is_named(trial, unmarked):
    refusal = {"kind": "status", "status": 403, "path_prefix": f"/api/v1/monitor/{unmarked}"}
    trial.datadog.fail(refusal)
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    assert trial.resource is None
    assert unmarked in trial.events()["LeftBehind"]


async def test_a_left_out_feature_whose_object_lost_its_mark_is_told(trial):
    trial.put(driftPolicy="Keep", features={"anomalies": True})
    await trial.look()
    identifier = trial.entry("pnl-anomaly")["id"]
    trial.datadog.organisation.monitors[int(identifier)].definition["tags"] = []
    await trial.look()
    trial.put(driftPolicy="Keep", features={"anomalies": False})
    await trial.look()
    assert int(identifier) in trial.datadog.organisation.monitors
    assert trial.events()["ObjectsLeft"].endswith(f"monitor/pnl-anomaly ({identifier})")

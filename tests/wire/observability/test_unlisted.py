"""Objects that no list shows: what is asked for by id, what that costs, and what happens where the answer is no."""

import pytest

from support.observability_trial import KIND, NAME, NS

FEW = 12
RESYNC_S = 600


def calls(trial, method="PUT"):
    return [one.path for one in trial.datadog.request_log.writes() if one.method == method]


async def looks(trial, number):
    """So many looks, a period apart; the reads of each."""
    found = []
    for _ in range(number):
        trial.datadog.request_log.clear()
        trial.pass_time(RESYNC_S)
        await trial.look()
        found.append(len(trial.datadog.request_log.reads()))
    return found


@pytest.fixture
async def stripped(trial):
    """Every monitor without its tags, and kept so."""
    spec = {"driftPolicy": "Keep", "features": {"logIndex": True}}
    trial.put(**spec)
    await trial.look()
    for monitor in trial.datadog.organisation.monitors.values():
        monitor.definition["tags"] = ["team:trading"]
    await trial.look()
    return spec


async def test_edits_that_are_kept_cost_no_more_looks_than_none(trial, stripped):
    trial.server.clear()
    assert max(await looks(trial, 3)) <= FEW
    assert trial.datadog.request_log.writes() == []
    assert trial.server.writes() == []
    assert trial.entry("drawdown")["change"] == "tags"


async def test_of_what_no_list_shows_a_deletion_is_seen_in_its_turn(trial, stripped):
    del trial.datadog.organisation.monitors[int(trial.entry("heartbeat")["id"])]
    assert max(await looks(trial, 11)) <= FEW
    assert len(trial.datadog.organisation.monitors) == 11
    assert trial.events()["ObjectsRemade"].endswith(": monitor/heartbeat")


async def test_a_new_spec_reaches_what_no_list_shows_at_once(trial, stripped):
    trial.datadog.request_log.clear()
    trial.put(**stripped, thresholds={"balance": {"critical": 40}})
    await trial.look()
    assert f"/api/v1/monitor/{trial.entry('wallet-balance')['id']}" in calls(trial)
    assert "unlisted" not in trial.entry("wallet-balance")
    assert trial.entry("drawdown")["unlisted"] is True


async def test_a_plan_for_what_was_deleted_by_hand_asks_for_it_once(trial):
    trial.put()
    await trial.look()
    trial.put(mode="Plan")
    trial.datadog.organisation.monitors.clear()
    await trial.look()
    assert trial.entry("drawdown")["change"] == "create"
    assert max(await looks(trial, 2)) <= FEW
    trial.put(mode="Manage")
    await trial.look()
    assert len(trial.datadog.organisation.monitors) == 11


@pytest.fixture
async def barred(trial):
    """A monitor that no list shows and that may not be read; its id."""
    trial.put()
    await trial.look()
    identifier = trial.entry("drawdown")["id"]
    trial.datadog.organisation.monitors[int(identifier)].definition["tags"] = []
    path = f"/api/v1/monitor/{identifier}"
    trial.datadog.fail({"kind": "status", "status": 403, "method": "GET", "path_prefix": path})
    trial.datadog.request_log.clear()
    return identifier


async def test_an_object_that_may_not_be_read_hinders_no_other(trial, barred):
    trial.put(thresholds={"balance": {"critical": 40}})
    await trial.look()
    assert calls(trial) == [f"/api/v1/monitor/{trial.entry('wallet-balance')['id']}"]
    entry = trial.entry("drawdown")
    assert (entry["state"], entry["id"]) == ("Failed", barred)
    assert entry["lastError"].startswith("403")
    assert trial.condition("Synced")["reason"] == "ObjectsFailed"
    assert trial.entry("wallet-balance")["state"] == "InSync"


async def test_an_object_that_may_not_be_read_is_not_made_again(trial, barred):
    for _ in range(3):
        await looks(trial, 1)
        assert calls(trial, "POST") == []
    assert len(trial.datadog.organisation.monitors) == 11
    trial.datadog.fail()
    await looks(trial, 1)
    assert trial.entry("drawdown")["state"] == "InSync"
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    assert trial.datadog.organisation.monitors == {}
